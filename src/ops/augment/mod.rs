//! augment: gathers a batch from the data set as [`gather_batch`](super::gather_batch) does, with a new random
//! distortion of each image.
//!
//! An image is shifted, rotated, scaled and sheared about its centre, and distorted elastically: pixel `p` of the
//! result is the bilinear interpolation of the image at
//!
//! ```text
//! centre + scale * rotation * shear * (p - centre) + shift + elastic(p)
//! ```
//!
//! where pixels outside the image are zero. `elastic` is a random displacement for each point of a 5 x 5 grid,
//! interpolated between the points by the smooth step `3 f^2 - 2 f^3`. Simard et al., "Best practices for convolutional
//! neural networks applied to visual document analysis" (2003), achieve a similar effect by smoothing noise for each
//! pixel.
//!
//! The first pass, `augment.draw`, draws a random map for each row, from the counter-based generator of
//! [`dropout`](super::dropout) with the key (seed low, seed high, step, `u32::MAX`), which no layer uses. The second
//! pass, `augment.gather`, applies the maps. Both compute with integers (positions in 1/32768 pixel, weights in 1/256),
//! because sines and sums of `f32` differ between devices: a run that is resumed on another device gets the same images
//! to the bit.

mod cases;
mod cpu;
mod fast;
mod gpu;

pub(crate) use cases::{drawn, edge_cases};

use super::{Op, Step};
use crate::text::brief;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How far images are distorted; each number is the largest amount in either direction, and amounts are drawn
/// uniformly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Augment {
    /// Largest shift along each axis, in pixels.
    pub shift: f64,
    /// Largest rotation, in degrees.
    pub rotation: f64,
    /// Largest relative change of size: 0.1 makes images up to 10 % larger or smaller.
    pub scale: f64,
    /// Largest shear, as the tangent of the angle by which columns lean.
    pub shear: f64,
    /// Largest displacement of a grid point along each axis, in pixels.
    pub elastic: f64,
}

impl Augment {
    /// Distortions of handwritten digits of 28 x 28 pixels that leave nearly all of them readable.
    pub const DIGITS: Augment = Augment { shift: 1.5, rotation: 10.0, scale: 0.1, shear: 0.1, elastic: 1.5 };

    /// Names, values and upper limits.
    fn parts(&self) -> [(&'static str, f64, f64); 5] {
        let Augment { shift, rotation, scale, shear, elastic } = *self;
        [
            ("shift", shift, 15.0),
            ("rotation", rotation, 45.0),
            ("scale", scale, 0.9),
            ("shear", shear, 1.0),
            ("elastic", elastic, 15.0),
        ]
    }

    /// Checks that every number is within its range.
    ///
    /// # Errors
    ///
    /// A message that names the first number that is not.
    pub fn validate(&self) -> Result<(), String> {
        match self.parts().into_iter().find(|(_, value, most)| !(0.0..=*most).contains(value)) {
            None => Ok(()),
            Some((name, value, most)) => Err(format!("{name} must be from 0 to {most}, got {value}")),
        }
    }
}

impl fmt::Display for Augment {
    /// The form that is parsed: `shift=1.5,rotation=10`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Augment::DIGITS {
            return f.write_str("digits");
        }
        let parts = self.parts().into_iter().filter(|(_, value, _)| *value != 0.0);
        let parts: Vec<_> = parts.map(|(name, value, _)| format!("{name}={value}")).collect();
        // Augmentation that does not change the images.
        f.write_str(if parts.is_empty() { "shift=0" } else { "" })?;
        f.write_str(&parts.join(","))
    }
}

impl From<Augment> for String {
    fn from(augment: Augment) -> String {
        augment.to_string()
    }
}

impl TryFrom<String> for Augment {
    type Error = String;

    fn try_from(text: String) -> Result<Augment, String> {
        text.parse()
    }
}

impl FromStr for Augment {
    type Err = String;

    fn from_str(text: &str) -> Result<Augment, String> {
        if text == "digits" {
            return Ok(Augment::DIGITS);
        }
        let mut augment = Augment::default();
        let mut given = Vec::new();
        for part in text.split(',') {
            let wanted =
                "expected digits, or any of shift, rotation, scale, shear and elastic, as in shift=2,rotation=10";
            let (name, value) = part.split_once('=').ok_or_else(|| format!("{wanted}; got `{}`", brief(part)))?;
            let value: f64 = value
                .trim()
                .parse()
                .map_err(|_| format!("{}: expected a number, got `{}`", brief(name), brief(value)))?;
            if given.contains(&name.trim()) {
                return Err(format!("{} is given twice", brief(name.trim())));
            }
            given.push(name.trim());
            *match name.trim() {
                "shift" => &mut augment.shift,
                "rotation" => &mut augment.rotation,
                "scale" => &mut augment.scale,
                "shear" => &mut augment.shear,
                "elastic" => &mut augment.elastic,
                _ => return Err(format!("{wanted}; got `{}`", brief(part))),
            } = value;
        }
        augment.validate()?;
        Ok(augment)
    }
}

impl Augment {
    /// An image of shape H, W, C, distorted as in row `row` of step `step` and rounded to bytes. Sides must not exceed
    /// [`LARGEST_SIDE`].
    pub fn image(&self, image: &[u8], shape @ [height, width, _]: [usize; 3], step: &Step, row: usize) -> Vec<u8> {
        let map = Draw { batch: row + 1, size: [height, width], amount: *self }.map(step, row);
        let mut x = vec![0.0_f32; image.len()];
        Gather { batch: 1, shape, images: 1 }.distort(image, &map, &mut x);
        x.into_iter().map(|x| (x * 255.0).round() as u8).collect()
    }
}

/// Largest side of an image in pixels, for which positions fit in 32 bits.
pub const LARGEST_SIDE: usize = 1024;

/// Number of points of the elastic grid along each axis.
pub const POINTS: usize = 5;

/// Number of integers per map: the matrix a b c d in 1/16384, the translation tx ty in 1/32768 pixel, then dx dy for
/// each point of the grid in 1/32768 pixel.
pub const MAP: usize = 6 + 2 * POINTS * POINTS;

/// Draws a random map for each row: writes `maps`.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Number of rows of the batch, N.
    pub batch: usize,
    /// Height and width of an image, at most [`LARGEST_SIDE`] each.
    pub size: [usize; 2],
    /// How far images are distorted.
    pub amount: Augment,
}

/// Gathers and distorts a batch: reads `images`, `labels`, `order` and `maps`, and writes `x` and `targets`.
#[derive(Clone, Copy, Debug)]
pub struct Gather {
    /// Number of rows of the batch, N.
    pub batch: usize,
    /// Height, width and channels of an image.
    pub shape: [usize; 3],
    /// Number of images in the data set.
    pub images: usize,
}

impl Gather {
    /// Number of bytes per image.
    fn pixels(&self) -> usize {
        self.shape.iter().product()
    }
}

impl Op for Draw {
    fn name(&self) -> &'static str {
        "augment.draw"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        Vec::new()
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("maps", self.batch * MAP)]
    }
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "augment.gather"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("images", (self.images * self.pixels()).div_ceil(4)),
            ("labels", self.images),
            ("order", self.images),
            ("maps", self.batch * MAP),
        ]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("x", self.batch * self.pixels()), ("targets", self.batch)]
    }
    fn touched(&self) -> Vec<(&'static str, usize)> {
        vec![("images", (self.batch * self.pixels()).div_ceil(4)), ("labels", self.batch), ("order", self.batch)]
    }
}
