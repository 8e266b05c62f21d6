//! augment: a batch is drawn from the data set as in [`gather_batch`](super::gather_batch), each image distorted anew.
//!
//! An image is shifted, rotated, scaled and sheared about its middle, and bent: the pixel `p` of the result is the image
//! between four pixels at
//!
//! ```text
//! middle + scale * rotation * shear * (p - middle) + shift + elastic(p)
//! ```
//!
//! where nothing is outside of the image. `elastic` is a displacement drawn for each of 5 x 5 points of a grid, and between
//! them mixed by the smooth step `3 f^2 - 2 f^3`; Simard et al., "Best practices for convolutional neural networks applied
//! to visual document analysis" (2003), smooth noise for each pixel instead, to the same end.
//!
//! The first pass, `augment.draw`, draws a map for each row, from the counter-based generator of [`dropout`](super::dropout)
//! with the key (seed low, seed high, step, no layer); the second, `augment.gather`, draws the batch by it. Both work in
//! integers - positions in 1/32768 pixel, weights in 1/256 - because sines and sums of `f32` differ from device to
//! device: a run that goes on elsewhere draws the same bits.

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

/// How far images are distorted; each number is the most to either side, and is drawn evenly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Augment {
    /// Pixels, in both directions.
    pub shift: f64,
    /// Largest rotation either way, in degrees.
    pub rotation: f64,
    /// Share: 0.1 makes images up to 10 % larger or smaller.
    pub scale: f64,
    /// Tangent of the angle by which columns lean.
    pub shear: f64,
    /// Pixels by which a point of the grid is moved, in both directions.
    pub elastic: f64,
}

impl Augment {
    /// Distortions of handwritten digits of 28 x 28 pixels that leave nearly all of them readable.
    pub const DIGITS: Augment = Augment { shift: 1.5, rotation: 10.0, scale: 0.1, shear: 0.1, elastic: 1.5 };

    /// Names, values and the most that they may be.
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

    /// Every number inside its range.
    ///
    /// # Errors
    ///
    /// A message that names the first that is not.
    pub fn validate(&self) -> Result<(), String> {
        match self.parts().into_iter().find(|(_, value, most)| !(0.0..=*most).contains(value)) {
            None => Ok(()),
            Some((name, value, most)) => Err(format!("{name} must be from 0 to {most}, got {value}")),
        }
    }
}

impl fmt::Display for Augment {
    /// `shift=1.5,rotation=10`, as it is parsed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Augment::DIGITS {
            return f.write_str("digits");
        }
        let parts = self.parts().into_iter().filter(|(_, value, _)| *value != 0.0);
        let parts: Vec<_> = parts.map(|(name, value, _)| format!("{name}={value}")).collect();
        // Images that are drawn through a map which leaves them as they are.
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
    /// An image of shape H, W, C as row `row` of step `step` would have it, rounded to bytes. Sides are at most
    /// [`LARGEST_SIDE`].
    pub fn image(&self, image: &[u8], shape @ [height, width, _]: [usize; 3], step: &Step, row: usize) -> Vec<u8> {
        let map = Draw { batch: row + 1, size: [height, width], amount: *self }.map(step, row);
        let mut x = vec![0.0_f32; image.len()];
        Gather { batch: 1, shape, images: 1 }.distort(image, &map, &mut x);
        x.into_iter().map(|x| (x * 255.0).round() as u8).collect()
    }
}

/// The longest side of an image: positions then fit into 32 bits.
pub const LARGEST_SIDE: usize = 1024;

/// Points of the elastic grid, in each direction.
pub const POINTS: usize = 5;

/// Integers of a map: a b c d (1/16384), tx ty (1/32768 pixel), then dx dy of each point of the grid (likewise).
pub const MAP: usize = 6 + 2 * POINTS * POINTS;

/// Draws a map for each row: `-> maps`
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Rows of the batch, N.
    pub batch: usize,
    /// H, W; at most [`LARGEST_SIDE`].
    pub size: [usize; 2],
    /// How far images are distorted.
    pub amount: Augment,
}

/// `images labels order maps -> x targets`
#[derive(Clone, Copy, Debug)]
pub struct Gather {
    /// Rows of the batch, N.
    pub batch: usize,
    /// H, W, C of an image.
    pub shape: [usize; 3],
    /// Images in the data set.
    pub images: usize,
}

impl Gather {
    /// Bytes of an image.
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
