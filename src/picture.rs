//! Pictures by `plotters`, as SVG.

use crate::error::{Error, Result};
use crate::files::{check_place, replace_file};
use crate::text::printable;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::io::Write;
use std::path::Path;

/// What is drawn on.
pub type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What can be drawn.
pub trait Drawing {
    /// Width and height, in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws. What goes wrong is said in words.
    fn draw(&self, root: &Canvas<'_>) -> Result<(), String>;
}

/// Refuses what [`save`] could not write, before anything is measured for it.
///
/// # Errors
///
/// [`Error::File`] where the name does not end in `.svg`, and those of a place that no file can be written to.
pub fn check_path(path: &Path) -> Result<()> {
    check_ending(path)?;
    check_place(path)
}

/// Draws into a file that ends in `.svg`; a file of that name is replaced when the new one is whole.
///
/// # Errors
///
/// [`Error::File`] where the name does not end in `.svg`, or where the picture cannot be drawn; [`Error::Io`] where it cannot
/// be written.
pub fn save(path: &Path, drawing: &impl Drawing) -> Result<()> {
    check_ending(path)?;
    let text = svg(drawing).map_err(|error| Error::file(path, format!("cannot be drawn: {error}")))?;
    replace_file(path, |file| file.write_all(text.as_bytes()))
}

fn check_ending(path: &Path) -> Result<()> {
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("svg") => Ok(()),
        _ => Err(Error::file(path, "expected a name that ends in .svg, the one form in which pictures are drawn")),
    }
}

/// The text of an SVG file. Control characters in what is written in the picture are written out: XML does not allow them.
///
/// # Errors
///
/// What goes wrong in drawing, in words.
pub fn svg(drawing: &impl Drawing) -> Result<String, String> {
    let mut text = String::new();
    let root = SVGBackend::with_string(&mut text, drawing.size()).into_drawing_area();
    drawing.draw(&root)?;
    root.present().map_err(|error| error.to_string())?;
    drop(root);
    Ok(printable(&text).into_owned())
}
