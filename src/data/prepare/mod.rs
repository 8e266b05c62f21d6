//! Brings a photograph, scan or drawing of one character to the form of the training images.
//!
//! A picture is decoded (`decode`) and made small (`view`). Its colours become one value a cell, in which ink and paper
//! differ most (`contrast`); the paper is taken off (`background`); what is left falls into connected pieces
//! (`components`), without the lines of ruled paper (`lines`). Those that are strokes near each other are the character
//! (`candidate`), and of several ways to see the picture the clearest is taken (`search`). If the character is small, its
//! surroundings are looked at again from nearer. What is found is cropped, its strongest ink 1, and placed (`placement`).
//!
//! A picture that shows no character, several, or too little of one is refused: a network gives a digit for anything.

mod background;
mod candidate;
mod components;
mod contrast;
mod decode;
mod grid;
mod lines;
mod placement;
mod search;
mod view;

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageBuffer, Luma};

use self::candidate::Found;
use self::grid::{Grid, quantile};
use self::view::{Frame, View};
use crate::error::{Error, Result};

/// A row or column belongs to the character when it has ink of at least this part of the strongest.
const EDGE: f32 = 0.25;
/// A character that is a smaller part of a view than this is looked at from nearer.
const CLOSE: f64 = 0.35;
/// A character with fewer pixels than this in height and width cannot be read.
const LEAST_SIDE: u32 = 5;

/// Ink, from 0 (none) to 1.
type Plane = ImageBuffer<Luma<f32>, Vec<f32>>;

/// Reads a PNG or JPEG file as one image of shape H, W, C, from 0 (background) to 255 (ink).
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be read; [`Error::File`] when it is no such image, too large, or does not show one
/// character clearly; [`Error::Usage`] for a shape that is neither grey nor RGB.
pub fn prepare(path: &Path, shape: [usize; 3]) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    prepare_from(BufReader::new(file), path, shape)
}

/// The same from anything that can be read; `origin` says in errors where it is from.
///
/// # Errors
///
/// As for [`prepare`].
pub fn prepare_from(mut source: impl BufRead + Seek, origin: &Path, shape: [usize; 3]) -> Result<Vec<u8>> {
    let image = decode::decode(&mut source, origin)?;
    match shape {
        [height, width, 1] => {
            character(&image, height as u32, width as u32).map_err(|problem| Error::file(origin, problem))
        }
        [height, width, 3] => Ok(scene(&image, height as u32, width as u32)),
        [.., channels] => {
            Err(Error::Usage(format!("the network wants {channels} channels, but pictures have 1 (grey) or 3 (RGB)")))
        }
    }
}

/// Whether the file is a JPEG that ends before its end mark: a part of the picture may be missing.
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be read.
pub fn ends_early(path: &Path) -> Result<bool> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    decode::ends_early(&mut BufReader::new(file)).map_err(Error::io("read", path))
}

/// A coloured image: scaled, over white where it is transparent, and otherwise as it is.
fn scene(image: &DynamicImage, height: u32, width: u32) -> Vec<u8> {
    let mut image = image.to_rgba8();
    for pixel in image.pixels_mut() {
        let [red, green, blue, alpha] = pixel.0;
        pixel.0 = [over_white(red, alpha), over_white(green, alpha), over_white(blue, alpha), 255];
    }
    DynamicImage::from(imageops::resize(&image, width, height, FilterType::CatmullRom)).into_rgb8().into_raw()
}

fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

/// One character, H x W; or what keeps it from being seen.
fn character(image: &DynamicImage, height: u32, width: u32) -> Result<Vec<u8>, String> {
    Ok(placement::placed(&cropped(image)?, height, width))
}

/// The character's ink, cropped tightly, the strongest 1.
fn cropped(image: &DynamicImage) -> Result<Plane, String> {
    let mut frame = Frame::of(image);
    loop {
        let view = View::new(image, frame);
        let planes = contrast::planes(&view);
        let (index, found) = search::search(&planes)?;
        let values = &planes[index].values;
        let [left, top, right, bottom] = found.bounds;
        let longer = (right - left).max(bottom - top) + 1;
        let nearer = frame.around(image, view.scale, found.bounds);
        if view.scale > 1.0 && (longer as f64) < CLOSE * values.longer() as f64 && nearer.width < frame.width {
            frame = nearer;
            continue;
        }
        let ink = tight(values, &found)?;
        let (width, height) = ink.dimensions();
        if width.max(height) < LEAST_SIDE {
            return Err(format!("what it shows has {width} x {height} pixels, too few to be read"));
        }
        return Ok(ink);
    }
}

/// How far the found cells and those beside them differ from the paper around, where that is much.
fn tight(values: &Grid<f32>, found: &Found) -> Result<Plane, String> {
    let mask = found.mask.grown(((found.thickness / 4.0) as usize).clamp(1, 6));
    let paper = background::filled(values, &mask);
    let mut ink = values.zip(&paper, |value, paper| (found.sign * (value - paper)).max(0.0));
    ink = ink.zip(&mask, |ink, mask| if mask { ink } else { 0.0 });
    let own = ink.cells.iter().zip(&found.mask.cells).filter(|(_, mask)| **mask);
    let strength = quantile(own.map(|(ink, _)| *ink).collect(), 0.9);
    // Scaling clips at 1, and must do so in the same way whatever the contrast was.
    let ink = ink.map(|ink| (ink / strength).min(1.0));
    let (mut left, mut top, mut right, mut bottom) = (usize::MAX, usize::MAX, 0, 0);
    for (x, y, _) in ink.each().filter(|(.., ink)| *ink >= EDGE) {
        (left, top) = (left.min(x), top.min(y));
        (right, bottom) = (right.max(x), bottom.max(y));
    }
    if left == usize::MAX {
        return Err("shows nothing that differs from its surroundings".into());
    }
    let (width, height) = ((right - left + 1) as u32, (bottom - top + 1) as u32);
    Ok(Plane::from_fn(width, height, |x, y| Luma([ink[(left + x as usize, top + y as usize)]])))
}

#[cfg(test)]
mod damages;
#[cfg(test)]
mod tests;
