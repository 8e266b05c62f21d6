//! Brings a photograph, scan or drawing of one character to the form of the training images.
//!
//! MNIST's own recipe: bright ink on black, scaled to fit 20 of 28 pixels with its proportions kept, and placed so that
//! its centre of mass is the centre of the image. Whether the ink was dark or light, how large the paper was and how
//! grey, is settled here, so that a network sees nothing but the shape.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GenericImageView, GrayImage, ImageDecoder, ImageError, ImageReader};

use super::form::{Character, Form, Plane};
use crate::error::{Error, Result};

/// Larger images are refused before they are decoded.
const MAX_PIXELS: u64 = 1 << 26;
/// Larger images are first scaled down to this side: it averages noise out, and no more detail is needed.
const WORKING_SIDE: u32 = 512;
/// Ink must differ from the background by this much (of 1) to count as ink.
const LEAST_CONTRAST: f32 = 0.1;
/// A row or column belongs to the character when it has ink of at least this part of the strongest.
const EDGE: f32 = 0.25;
/// Background varies around its median by this many median deviations: 2.7 sigma for a normal distribution.
const NOISE: f32 = 4.0;

/// Reads a PNG or JPEG file as one image of shape H, W, C: the character that it shows in the form of the images that a
/// network was trained on, or, where that form says nothing of characters, the picture scaled to their size.
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be read; [`Error::File`] when it is no such image, too large, or shows nothing;
/// [`Error::Usage`] for a shape that is neither grey nor RGB.
pub fn prepare(path: &Path, shape: [usize; 3], form: &Form) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    prepare_from(BufReader::new(file), path, shape, form)
}

/// The same from anything that can be read; `origin` says in errors where it is from.
///
/// # Errors
///
/// As for [`prepare`].
pub fn prepare_from(source: impl BufRead + Seek, origin: &Path, shape: [usize; 3], form: &Form) -> Result<Vec<u8>> {
    form.validate(shape).map_err(Error::Usage)?;
    let image = decode(source, origin)?;
    let [height, width, channels] = shape;
    let (height, width) = (height as u32, width as u32);
    let shown = |form: &Character| character(&image, form).map_err(|problem| Error::file(origin, problem));
    if let Some(form) = form.character.as_ref().filter(|_| image.dimensions() != (width, height)) {
        return shown(form);
    }
    let mut scaled = match channels {
        1 => imageops::resize(&grey(&image), width, height, FilterType::CatmullRom).into_raw(),
        3 => scene(&image, height, width),
        _ => {
            let problem = format!("the network wants {channels} channels, but pictures have 1 (grey) or 3 (RGB)");
            return Err(Error::Usage(problem));
        }
    };
    form.rescale_picture(&mut scaled);
    // What looks like a training image already needs nothing.
    match &form.character {
        Some(form) if !form.is_met_by(&scaled) => shown(form),
        _ => Ok(scaled),
    }
}

fn decode(source: impl BufRead + Seek, origin: &Path) -> Result<DynamicImage> {
    let not_an_image = |error: ImageError| match error {
        ImageError::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            Error::io("read", origin)(error)
        }
        ImageError::Unsupported(_) => Error::file(origin, "not a PNG or JPEG image that can be read here"),
        error => Error::file(origin, format!("not a readable image: {error}")),
    };
    let reader = ImageReader::new(source).with_guessed_format().map_err(Error::io("read", origin))?;
    let mut decoder = reader.into_decoder().map_err(not_an_image)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        let megapixels = MAX_PIXELS >> 20;
        return Err(Error::file(origin, format!("{width} x {height} pixels, more than {megapixels} megapixels")));
    }
    let orientation = decoder.orientation().map_err(not_an_image)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(not_an_image)?;
    image.apply_orientation(orientation);
    Ok(image)
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

/// The character that an image shows, in this form, H x W; or what keeps it from being seen.
fn character(image: &DynamicImage, form: &Character) -> Result<Vec<u8>, String> {
    let ink = ink(&working_size(grey(image)))?;
    let (left, top, width, height) = bounds(&ink);
    Ok(form.place(&imageops::crop_imm(&ink, left, top, width, height).to_image()))
}

fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

fn grey(image: &DynamicImage) -> GrayImage {
    let image = image.to_luma_alpha8();
    let mut grey = GrayImage::new(image.width(), image.height());
    for (to, from) in grey.pixels_mut().zip(image.pixels()) {
        to.0 = [over_white(from.0[0], from.0[1])];
    }
    grey
}

/// The image with neither side beyond [`WORKING_SIDE`].
fn working_size(image: GrayImage) -> GrayImage {
    let (width, height) = image.dimensions();
    let longer = width.max(height);
    if longer <= WORKING_SIDE {
        return image;
    }
    let scaled = |side: u32| (u64::from(side) * u64::from(WORKING_SIDE)).div_ceil(u64::from(longer)) as u32;
    imageops::resize(&image, scaled(width), scaled(height), FilterType::Triangle)
}

/// How far each pixel lies from the background, towards the ink. The background is the border's median; the ink lies on
/// the side of it to which the image strays most; the noise of the background is taken off; the rest is stretched to 1.
fn ink(image: &GrayImage) -> Result<Plane, String> {
    let border = border(image);
    let background = median(border.clone());
    let noise = NOISE * median(border.into_iter().map(|value| (value - background).abs()).collect());
    let stray = |sign: f32| -> f32 {
        image.as_raw().iter().map(|&value| (sign * (unit(value) - background)).max(0.0).powi(2)).sum()
    };
    let sign = if stray(1.0) >= stray(-1.0) { 1.0 } else { -1.0 };

    let mut ink = Plane::new(image.width(), image.height());
    for (to, from) in ink.pixels_mut().zip(image.pixels()) {
        to.0 = [(sign * (unit(from.0[0]) - background) - noise).max(0.0)];
    }
    let peak = peak(&ink);
    if peak < LEAST_CONTRAST {
        let least = LEAST_CONTRAST * 255.0;
        return Err(format!(
            "shows nothing: ink must differ from the background by {least:.0} of 255, but differs by {:.0}",
            peak * 255.0
        ));
    }
    // Scaling clips at 1, and must do so in the same way whatever the contrast was.
    ink.iter_mut().for_each(|value| *value /= peak);
    Ok(ink)
}

fn unit(value: u8) -> f32 {
    f32::from(value) / 255.0
}

/// The outermost pixels.
fn border(image: &GrayImage) -> Vec<f32> {
    let (right, bottom) = (image.width().saturating_sub(1), image.height().saturating_sub(1));
    image
        .enumerate_pixels()
        .filter(|&(x, y, _)| x == 0 || y == 0 || x == right || y == bottom)
        .map(|(_, _, pixel)| unit(pixel.0[0]))
        .collect()
}

fn median(mut values: Vec<f32>) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

fn peak(ink: &Plane) -> f32 {
    ink.as_raw().iter().copied().fold(0.0, f32::max)
}

/// Left, top, width and height of the character, whose strongest ink is 1.
fn bounds(ink: &Plane) -> (u32, u32, u32, u32) {
    let (mut left, mut top, mut right, mut bottom) = (u32::MAX, u32::MAX, 0, 0);
    for (x, y, _) in ink.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] >= EDGE) {
        (left, top) = (left.min(x), top.min(y));
        (right, bottom) = (right.max(x), bottom.max(y));
    }
    (left, top, right - left + 1, bottom - top + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Luma, Rgba, RgbaImage};

    fn mnist(height: usize, width: usize) -> Character {
        Form::mnist([height, width, 1]).character.unwrap()
    }

    /// A seven: a bar on top and a stem down its right side, `size` high and wide, `thick` strokes.
    fn seven(x: u32, y: u32, size: u32, thick: u32) -> bool {
        x < size && y < size && (y < thick || x >= size - thick)
    }

    /// A seven at (left, top) in values `ink` on `paper`.
    fn drawing(side: [u32; 2], place: [u32; 2], size: u32, thick: u32, ink: u8, paper: u8) -> GrayImage {
        GrayImage::from_fn(side[0], side[1], |x, y| {
            let inside = x >= place[0] && y >= place[1] && seven(x - place[0], y - place[1], size, thick);
            Luma([if inside { ink } else { paper }])
        })
    }

    fn prepared(image: impl Into<DynamicImage>) -> GrayImage {
        GrayImage::from_raw(28, 28, character(&image.into(), &mnist(28, 28)).unwrap()).unwrap()
    }

    fn error(image: impl Into<DynamicImage>) -> String {
        character(&image.into(), &mnist(28, 28)).unwrap_err()
    }

    /// Largest difference of two images.
    fn distance(a: &[u8], b: &[u8]) -> u8 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    }

    /// Left, top, width and height of all that is not zero.
    fn extent(image: &GrayImage) -> (u32, u32, u32, u32) {
        bounds(&Plane::from_fn(image.width(), image.height(), |x, y| {
            Luma([if image.get_pixel(x, y).0[0] > 63 { 1.0 } else { 0.0 }])
        }))
    }

    fn centre(image: &GrayImage) -> (f64, f64) {
        let mass: f64 = image.pixels().map(|p| f64::from(p.0[0])).sum();
        let moment = |at: fn(u32, u32) -> u32| -> f64 {
            image.enumerate_pixels().map(|(x, y, p)| (f64::from(at(x, y)) + 0.5) * f64::from(p.0[0])).sum()
        };
        (moment(|x, _| x) / mass, moment(|_, y| y) / mass)
    }

    #[test]
    fn what_has_the_form_already_stays_as_it_is() {
        // The strokes' centre of mass is (13.9, 6.1) from their corner, and (14.9, 14.1) here.
        let form = prepared(drawing([28, 28], [4, 4], 20, 3, 255, 0));
        assert_eq!(extent(&form), (1, 8, 20, 20));
        assert_eq!(prepared(form.clone()), form);
        assert_eq!(form, drawing([28, 28], [1, 8], 20, 3, 255, 0));
    }

    #[test]
    fn size_place_and_paper_do_not_matter() {
        let form = prepared(drawing([28, 28], [4, 4], 20, 3, 255, 0));
        for (side, place, size, thick) in [
            ([300, 200], [130, 20], 160, 24),
            ([2000, 3000], [100, 1400], 1400, 210),
            ([40, 46], [0, 3], 40, 6),
            ([60, 40], [10, 0], 40, 6),
            ([12, 60], [2, 40], 10, 2),
        ] {
            let image = prepared(drawing(side, place, size, thick, 255, 0));
            let (.., width, height) = extent(&image);
            assert_eq!((width, height), (20, 20), "{side:?}");
            let (x, y) = centre(&image);
            assert!((13.9..15.1).contains(&x) && (13.9..15.1).contains(&y), "{side:?}: {x} {y}");
            // A shift by one pixel would make this 26.
            let mean: f64 = image.iter().zip(form.iter()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / 784.0;
            assert!(mean <= 12.0, "{side:?}: mean difference {mean}");
        }
    }

    #[test]
    fn ink_may_be_dark_or_light_strong_or_faint() {
        let drawing = |ink, paper| prepared(drawing([90, 90], [20, 30], 50, 8, ink, paper));
        let bright = drawing(255, 0);
        assert_eq!(*bright.iter().max().unwrap(), 255);
        for (ink, paper) in [(0, 255), (60, 230), (200, 120), (100, 150), (128, 100)] {
            assert!(distance(&bright, &drawing(ink, paper)) <= 1, "{ink} on {paper}");
        }
    }

    #[test]
    fn bold_ink_that_covers_most_of_the_image_is_still_ink() {
        let block = |ink, paper| {
            GrayImage::from_fn(30, 30, |x, y| {
                Luma([if (1..29).contains(&x) && (1..29).contains(&y) && x + y != 20 { ink } else { paper }])
            })
        };
        assert!(distance(&prepared(block(0, 255)), &prepared(block(255, 0))) <= 1);
        assert!(prepared(block(0, 255)).get_pixel(20, 20).0[0] > 200);
    }

    #[test]
    fn colour_and_transparency_become_grey_over_white() {
        let grey = drawing([60, 60], [10, 10], 40, 6, 0, 255);
        let form = prepared(grey.clone());
        let rgb = DynamicImage::from(grey.clone()).to_rgb8();
        assert_eq!(prepared(rgb), form);
        // Black ink, transparent elsewhere: without the white below, all would be black.
        let rgba = RgbaImage::from_fn(60, 60, |x, y| Rgba([0, 0, 0, 255 - grey.get_pixel(x, y).0[0]]));
        assert_eq!(prepared(rgba), form);
        let blue = RgbaImage::from_fn(60, 60, |x, y| {
            if grey.get_pixel(x, y).0[0] == 0 { Rgba([30, 40, 200, 255]) } else { Rgba([250, 245, 230, 255]) }
        });
        assert!(distance(&prepared(blue), &form) <= 1);
    }

    /// A photograph's paper is not one grey: it must come out black all the same, and not widen the box.
    #[test]
    fn noise_is_not_ink() {
        let mut image = drawing([120, 120], [30, 30], 60, 9, 40, 200);
        let clean = prepared(image.clone());
        let mut state = 1_u32;
        for pixel in image.pixels_mut() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            pixel.0[0] = pixel.0[0] - 10 + (state >> 24) as u8 % 21;
        }
        let noisy = prepared(image);
        assert_eq!(extent(&noisy), extent(&clean));
        assert_eq!(*noisy.get_pixel(2, 25), Luma([0]));
    }

    #[test]
    fn dust_on_a_large_page_is_averaged_out() {
        let mut page = drawing([2000, 2000], [600, 600], 800, 120, 30, 230);
        let clean = prepared(page.clone());
        for (x, y) in [(40, 40), (1900, 100), (1000, 1950)] {
            page.put_pixel(x, y, Luma([30]));
        }
        assert_eq!(extent(&prepared(page)), extent(&clean));
    }

    #[test]
    fn thin_lines_on_large_paper_are_seen() {
        let image = prepared(drawing([4000, 4000], [500, 500], 3000, 8, 0, 255));
        assert_eq!(*image.iter().max().unwrap(), 255);
        assert_eq!((extent(&image).2, extent(&image).3), (20, 20));
        // A dash is wider than high, and has a height.
        let dash = GrayImage::from_fn(100, 100, |x, y| Luma([if y == 50 && (10..90).contains(&x) { 0 } else { 255 }]));
        assert_eq!((extent(&prepared(dash.clone())).2, extent(&prepared(dash)).3), (20, 1));
    }

    #[test]
    fn nothing_is_an_error() {
        assert!(error(GrayImage::new(50, 40)).starts_with("shows nothing"));
        assert!(error(GrayImage::from_pixel(1, 1, Luma([9]))).starts_with("shows nothing"));
        assert!(error(RgbaImage::new(30, 30)).starts_with("shows nothing"));
        let faint = error(drawing([60, 60], [10, 10], 40, 6, 120, 140));
        assert_eq!(faint, "shows nothing: ink must differ from the background by 26 of 255, but differs by 20");
    }

    #[test]
    fn other_sizes_follow_the_same_rule() {
        let image = DynamicImage::from(drawing([90, 90], [20, 30], 50, 8, 0, 255));
        for (height, width, longer) in [(56, 56, 40), (28, 14, 10), (32, 32, 23), (1, 1, 1), (5, 40, 4)] {
            let bytes = character(&image, &mnist(height, width)).unwrap();
            let (.., w, h) = extent(&GrayImage::from_raw(width as u32, height as u32, bytes).unwrap());
            assert_eq!((w, h), (longer, longer), "{height} x {width}");
        }
    }

    #[test]
    fn colour_images_are_only_scaled() {
        let image = DynamicImage::from(RgbaImage::from_fn(64, 64, |x, _| {
            if x < 32 { Rgba([200, 100, 50, 255]) } else { Rgba([0, 0, 0, 0]) }
        }));
        let bytes = scene(&image, 8, 16);
        assert_eq!(bytes.len(), 8 * 16 * 3);
        assert_eq!((&bytes[..3], &bytes[15 * 3..16 * 3]), (&[200, 100, 50][..], &[255, 255, 255][..]));
    }
}
