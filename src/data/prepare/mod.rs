//! Converts a photograph, scan or drawing of one character to the form of the training images.
//!
//! A picture is decoded (`decode`) and reduced (`view`). Its colours are projected to one value per cell, in which ink
//! and paper differ most (`contrast`); the paper is subtracted (`background`); what remains is split into connected
//! pieces (`components`), without the lines of ruled paper (`lines`). Pieces that are strokes close to each other form
//! the character (`candidate`), and the clearest of several interpretations of the picture is chosen (`search`). If the
//! character is small, its surroundings are examined again at a higher resolution. The character found is cropped,
//! scaled so that its strongest ink is 1, and placed as characters are in the training images ([`Form`]).
//!
//! A picture that shows no character, several, or an incomplete one is rejected, because a network gives a digit for
//! anything.

mod background;
mod candidate;
mod components;
mod contrast;
mod decode;
mod grid;
mod lines;
mod search;
mod view;

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GenericImageView, GrayImage, Luma};

use self::candidate::Found;
use self::grid::{Grid, quantile};
use self::view::{Frame, View};
use super::form::{Character, Form, Plane};
use crate::error::{Error, Result};

/// A row or column belongs to the character if its ink reaches at least this fraction of the strongest.
const EDGE: f32 = 0.25;
/// A character smaller than this fraction of a view is examined at a higher resolution.
const CLOSE: f64 = 0.35;
/// A character with fewer pixels than this in both height and width cannot be read.
const LEAST_SIDE: u32 = 5;

/// Reads a PNG or JPEG file as one image of shape H, W, C: the character in the form of the images that a network was
/// trained on or, if that form does not describe characters, the picture scaled to their size.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be read; [`Error::File`] if it is not a PNG or JPEG image, too large, or does not
/// show one character clearly; [`Error::Usage`] for a shape that is neither grey nor RGB.
pub fn prepare(path: &Path, shape: [usize; 3], form: &Form) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    prepare_from(BufReader::new(file), path, shape, form)
}

/// Like [`prepare`], from any reader; `origin` is named in errors.
///
/// # Errors
///
/// As for [`prepare`].
pub fn prepare_from(mut source: impl BufRead + Seek, origin: &Path, shape: [usize; 3], form: &Form) -> Result<Vec<u8>> {
    form.validate(shape).map_err(Error::Usage)?;
    let image = decode::decode(&mut source, origin)?;
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
            let problem = format!("the network expects {channels} channels, but pictures have 1 (grey) or 3 (RGB)");
            return Err(Error::Usage(problem));
        }
    };
    form.rescale_picture(&mut scaled);
    // An image that already looks like a training image is left as it is.
    match &form.character {
        Some(form) if !form.is_met_by(&scaled) => match shown(form) {
            Err(_) if form.may_be_met_by(&scaled) => Ok(scaled),
            prepared => prepared,
        },
        _ => Ok(scaled),
    }
}

/// Whether the file is a JPEG without an end marker: a part of the picture may be missing.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be read.
pub fn ends_early(path: &Path) -> Result<bool> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    decode::ends_early(&mut BufReader::new(file)).map_err(Error::io("read", path))
}

/// A colour image: scaled, over white where it is transparent, and otherwise unchanged.
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

fn grey(image: &DynamicImage) -> GrayImage {
    let image = image.to_luma_alpha8();
    let mut grey = GrayImage::new(image.width(), image.height());
    for (to, from) in grey.pixels_mut().zip(image.pixels()) {
        to.0 = [over_white(from.0[0], from.0[1])];
    }
    grey
}

/// The character in an image, in this form, H x W; or the reason why none can be recognised.
fn character(image: &DynamicImage, form: &Character) -> Result<Vec<u8>, String> {
    Ok(form.place(&cropped(image)?))
}

/// The character's ink, tightly cropped, with a maximum of 1.
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
            return Err(format!("the character has only {width} x {height} pixels, too few to be read"));
        }
        return Ok(ink);
    }
}

/// How far the cells found and their neighbours differ from the surrounding paper, where that is significant.
fn tight(values: &Grid<f32>, found: &Found) -> Result<Plane, String> {
    let mask = found.mask.grown(((found.thickness / 4.0) as usize).clamp(1, 6));
    let paper = background::filled(values, &mask);
    let mut ink = values.zip(&paper, |value, paper| (found.sign * (value - paper)).max(0.0));
    ink = ink.zip(&mask, |ink, mask| if mask { ink } else { 0.0 });
    let own = ink.cells.iter().zip(&found.mask.cells).filter(|(_, mask)| **mask);
    let strength = quantile(own.map(|(ink, _)| *ink).collect(), 0.9);
    // Scaling clips at 1, and must do so in the same way for any contrast.
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
