//! Draws SVG pictures with `plotters`.

use crate::error::{Error, Result};
use crate::files::{check_place, replace_file};
use crate::text::printable;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::io::Write;
use std::path::Path;

/// The surface of a drawing.
pub type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Something that can be drawn.
pub trait Drawing {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws the picture. The error is a message.
    fn draw(&self, root: &Canvas<'_>) -> Result<(), String>;
}

/// Checks that [`save`] can write to this path, before anything is measured.
///
/// # Errors
///
/// [`Error::File`] if the name does not end in `.svg`, and those of a path that cannot be written to.
pub fn check_path(path: &Path) -> Result<()> {
    check_ending(path)?;
    check_place(path)
}

/// Draws into a file that ends in `.svg`; an existing file is replaced when the new one is complete.
///
/// # Errors
///
/// [`Error::File`] if the name does not end in `.svg`, or the picture cannot be drawn; [`Error::Io`] if it cannot be
/// written.
pub fn save(path: &Path, drawing: &impl Drawing) -> Result<()> {
    check_ending(path)?;
    let text = svg(drawing).map_err(|error| Error::file(path, format!("cannot be drawn: {error}")))?;
    replace_file(path, |file| file.write_all(text.as_bytes()))
}

fn check_ending(path: &Path) -> Result<()> {
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("svg") => Ok(()),
        _ => Err(Error::file(path, "expected a file name that ends in .svg, the only format for pictures")),
    }
}

/// The text of an SVG file. Control characters in texts are escaped, because XML does not allow them.
///
/// # Errors
///
/// A message, if the picture cannot be drawn.
pub fn svg(drawing: &impl Drawing) -> Result<String, String> {
    let mut text = String::new();
    let root = SVGBackend::with_string(&mut text, drawing.size()).into_drawing_area();
    drawing.draw(&root)?;
    root.present().map_err(|error| error.to_string())?;
    drop(root);
    Ok(printable(&text).into_owned())
}
