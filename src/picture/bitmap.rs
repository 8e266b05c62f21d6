//! A picture of pixels for `plotters`, with letters of its own: no font file is looked for, so every machine draws the
//! same.

use font8x8::legacy::BASIC_LEGACY;
use image::{Rgb, RgbImage};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendTextStyle, DrawingBackend, DrawingErrorKind};
use std::convert::Infallible;

/// The picture; `plotters` draws lines and discs by its pixels.
pub(super) struct Bitmap {
    pub image: RgbImage,
}

/// Letters are 8 dots wide and 8 high; a dot is twice as high as wide.
const DOTS: i32 = 8;
const DOT_HEIGHT: i32 = 2;

impl Bitmap {
    pub(super) fn new(width: u32, height: u32) -> Bitmap {
        Bitmap { image: RgbImage::new(width, height) }
    }
}

/// How wide a dot is in letters of this size, in pixels.
fn dot(size: f64) -> i32 {
    ((size / f64::from(DOTS * DOT_HEIGHT)).round() as i32).max(1)
}

fn text_size(text: &str, size: f64) -> (i32, i32) {
    (text.chars().count() as i32 * DOTS * dot(size), DOTS * DOT_HEIGHT * dot(size))
}

/// The rows of a letter, from the top; the lowest bit is the left dot. Letters outside ASCII are question marks.
fn letter(character: char) -> [u8; DOTS as usize] {
    let index = u32::from(character) as usize;
    BASIC_LEGACY.get(index).copied().unwrap_or(BASIC_LEGACY[usize::from(b'?')])
}

impl DrawingBackend for &mut Bitmap {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.image.dimensions()
    }

    fn ensure_prepared(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn present(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn draw_pixel(&mut self, at: BackendCoord, color: BackendColor) -> Result<(), DrawingErrorKind<Infallible>> {
        let (Ok(x), Ok(y)) = (u32::try_from(at.0), u32::try_from(at.1)) else { return Ok(()) };
        if let Some(Rgb(pixel)) = self.image.get_pixel_mut_checked(x, y) {
            let (red, green, blue) = color.rgb;
            for (below, above) in pixel.iter_mut().zip([red, green, blue]) {
                *below = (f64::from(*below) * (1.0 - color.alpha) + f64::from(above) * color.alpha).round() as u8;
            }
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        at: BackendCoord,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        let (width, height) = text_size(text, style.size());
        let left = match style.anchor().h_pos {
            HPos::Left => 0,
            HPos::Center => -width / 2,
            HPos::Right => -width,
        };
        let top = match style.anchor().v_pos {
            VPos::Top => 0,
            VPos::Center => -height / 2,
            VPos::Bottom => -height,
        };
        let dot = dot(style.size());
        for (place, character) in text.chars().enumerate() {
            let rows = letter(character);
            for (x, y) in (0..DOTS * dot).flat_map(|x| (0..height).map(move |y| (x, y))) {
                if rows[(y / (dot * DOT_HEIGHT)) as usize] >> (x / dot) & 1 == 1 {
                    let (x, y) = style.transform().transform(left + place as i32 * DOTS * dot + x, top + y);
                    self.draw_pixel((at.0 + x, at.1 + y), style.color())?;
                }
            }
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let (width, height) = text_size(text, style.size());
        Ok((width as u32, height as u32))
    }
}
