//! A part of a picture, reduced in size for the search.

use image::{DynamicImage, GenericImageView};

use super::grid::Grid;

/// Largest size of a view's longer side, in cells.
pub const SIDE: usize = 320;

/// A rectangle of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

impl Frame {
    pub fn of(image: &DynamicImage) -> Frame {
        Frame { left: 0, top: 0, width: image.width(), height: image.height() }
    }

    /// The surroundings of these cells of the frame's view (left, top, right, bottom), with a margin on every side.
    pub fn around(self, image: &DynamicImage, scale: f64, [left, top, right, bottom]: [usize; 4]) -> Frame {
        let room = 0.6 * ((right - left).max(bottom - top) + 2) as f64;
        let start = |origin: u32, at: usize| (f64::from(origin) + (at as f64 - room) * scale).max(0.0) as u32;
        let end = |origin: u32, at: usize| (f64::from(origin) + (at as f64 + 1.0 + room) * scale) as u32;
        let (from_left, from_top) = (start(self.left, left), start(self.top, top));
        let (to_right, to_bottom) =
            (end(self.left, right).min(image.width()), end(self.top, bottom).min(image.height()));
        Frame { left: from_left, top: from_top, width: to_right - from_left, height: to_bottom - from_top }
    }
}

/// A frame of a picture in at most [`SIDE`] x [`SIDE`] cells.
///
/// A cell has red, green, blue and opacity, from 0 to 1, with premultiplied colours: so white ink on transparency
/// differs from its surroundings, and colours stored for invisible pixels are ignored.
pub struct View {
    pub channels: [Grid<f32>; 4],
    /// Pixels of the picture per cell, at least 1.
    pub scale: f64,
}

impl View {
    /// Each cell is the mean of the pixels that it covers, wholly or in part.
    pub fn new(image: &DynamicImage, frame: Frame) -> View {
        let scale = (f64::from(frame.width.max(frame.height)) / SIDE as f64).max(1.0);
        let cells = |side: u32| ((f64::from(side) / scale).round() as usize).max(1);
        let (width, height) = (cells(frame.width), cells(frame.height));
        let (columns, rows) = (shares(frame.width, width), shares(frame.height, height));
        let mut sums = vec![[0.0_f32; 4]; width * height];
        let mut line = vec![[0.0_f32; 4]; width];
        for (y, row) in (frame.top..).zip(&rows) {
            line.fill([0.0; 4]);
            for (x, column) in (frame.left..).zip(&columns) {
                let [red, green, blue, alpha] = image.get_pixel(x, y).0.map(|value| f32::from(value) / 255.0);
                let pixel = [red * alpha, green * alpha, blue * alpha, alpha];
                for (cell, share) in column {
                    add(&mut line[*cell], &pixel, *share);
                }
            }
            for (cell, share) in row {
                for (to, from) in sums[cell * width..][..width].iter_mut().zip(&line) {
                    add(to, from, *share);
                }
            }
        }
        let channel = |c: usize| Grid { width, height, cells: sums.iter().map(|cell| cell[c]).collect() };
        View { channels: [channel(0), channel(1), channel(2), channel(3)], scale }
    }
}

fn add(to: &mut [f32; 4], from: &[f32; 4], share: f32) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += share * from);
}

/// For each of `pixels` in a row, the one or two of `cells` that it overlaps, and the fraction in each. `cells <=
/// pixels`.
fn shares(pixels: u32, cells: usize) -> Vec<[(usize, f32); 2]> {
    let ratio = cells as f64 / f64::from(pixels);
    (0..pixels)
        .map(|pixel| {
            let (start, end) = (f64::from(pixel) * ratio, f64::from(pixel + 1) * ratio);
            let cell = (start as usize).min(cells - 1);
            let beyond = (end - (cell + 1) as f64).max(0.0);
            [(cell, (end - start - beyond) as f32), ((cell + 1).min(cells - 1), beyond as f32)]
        })
        .collect()
}
