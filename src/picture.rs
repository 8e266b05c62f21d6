//! Pictures by `plotters`: one description of a drawing, as SVG and as PNG.

mod bitmap;

use crate::error::{Error, Result};
use crate::files::{check_place, replace_file};
use crate::text::printable;
use bitmap::Bitmap;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::io::Write;
use std::path::Path;

/// What can be drawn on anything that `plotters` draws on.
pub trait Drawing {
    /// Width and height at scale 1.
    fn size(&self) -> (u32, u32);

    /// Draws. All lengths, those of letters too, are to be multiplied by `scale`; what goes wrong is said in words.
    fn draw<B: DrawingBackend>(&self, root: &DrawingArea<B, Shift>, scale: u32) -> Result<(), String>;
}

/// The kinds of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines and letters.
    Svg,
    /// Pixels.
    Png,
}

impl Format {
    /// What a file's name asks for by its ending.
    pub fn of(path: &Path) -> Result<Format> {
        match path.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase).as_deref() {
            Some("svg") => Ok(Format::Svg),
            Some("png") => Ok(Format::Png),
            _ => Err(Error::file(path, "expected a picture's name that ends in .svg or .png")),
        }
    }
}

/// Refuses what [`save`] could not write, before anything is measured for it.
pub fn check_path(path: &Path) -> Result<()> {
    Format::of(path)?;
    check_place(path)
}

/// Draws into a file that ends in `.svg` or `.png`; a file of that name is replaced when the new one is whole. A PNG
/// has `scale` times as many pixels each way.
pub fn save(path: &Path, drawing: &impl Drawing, scale: u32) -> Result<()> {
    let drawn = match Format::of(path)? {
        Format::Svg => svg(drawing).map(String::into_bytes),
        Format::Png => png(drawing, scale),
    };
    let bytes = drawn.map_err(|error| Error::file(path, format!("cannot be drawn: {error}")))?;
    replace_file(path, |file| file.write_all(&bytes))
}

/// The text of an SVG file. Control characters in what is written in the picture are written out: XML does not allow them.
pub fn svg(drawing: &impl Drawing) -> Result<String, String> {
    let mut text = String::new();
    finish(&SVGBackend::with_string(&mut text, drawing.size()).into_drawing_area(), drawing, 1)?;
    Ok(printable(&text).into_owned())
}

/// The bytes of a PNG, with `scale` times as many pixels each way.
pub fn png(drawing: &impl Drawing, scale: u32) -> Result<Vec<u8>, String> {
    let (width, height) = drawing.size();
    let (width, height) = (width * scale, height * scale);
    let mut bitmap = Bitmap::new(width, height);
    finish(&(&mut bitmap).into_drawing_area(), drawing, scale)?;
    let mut bytes = Vec::new();
    let written =
        PngEncoder::new(&mut bytes).write_image(bitmap.image.as_raw(), width, height, ExtendedColorType::Rgb8);
    written.map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn finish<B: DrawingBackend>(root: &DrawingArea<B, Shift>, drawing: &impl Drawing, scale: u32) -> Result<(), String> {
    drawing.draw(root, scale)?;
    root.present().map_err(|error| error.to_string())
}
