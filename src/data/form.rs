//! The look of a data set's images, and how characters in pictures are made to match it.
//!
//! A network knows characters only as its training set shows them: bright on dark or dark on bright, in a box of a
//! certain size, centred on a certain point. [`Form::measure`] measures this on the training images when a run starts,
//! the run saves it with its weights, and `predict` gives pictures the same form. Without a measurement, the form of
//! MNIST is assumed.

mod measure;
#[cfg(feature = "images")]
mod place;

#[cfg(feature = "images")]
pub(crate) use place::Plane;

use super::Dataset;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The look of the images that a network is trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// The byte that becomes 1 in the network's input: 255, unless `--scale` says otherwise.
    pub full_scale: u8,
    /// Position and size of the characters. `None` for colour images and images without a plain background: pictures
    /// are then only scaled to the size of the images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub character: Option<Character>,
}

/// Position and size of characters in images. Pairs hold a value for the vertical and one for the horizontal axis, in
/// pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Character {
    /// Height and width of the image.
    pub image: [usize; 2],
    /// Pixel value of the background.
    pub background: u8,
    /// Pixel value of the strongest ink; less than `background` if ink is dark.
    pub ink: u8,
    /// The box that a character is scaled to fit, keeping its proportions.
    pub size: [f32; 2],
    /// The smallest box of the characters; a character that is lower or narrower is stretched to it.
    pub least: [f32; 2],
    /// The largest box of the characters, to which larger characters are reduced.
    pub most: [f32; 2],
    /// The point of a character that is placed at `centre`.
    pub anchor: [Anchor; 2],
    /// Where that point is placed, within half a pixel, because characters are shifted by whole pixels.
    pub centre: [f32; 2],
    /// Whether rows and columns are swapped, as in the files of EMNIST.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transposed: bool,
}

/// A reference point of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anchor {
    /// The centre of mass of its ink.
    Mass,
    /// The centre of its bounding box.
    Box,
}

/// Fraction of the image's height and width that MNIST's characters fill: 20 of 28 pixels.
const MNIST_SIZE: f32 = 20.0 / 28.0;

impl Form {
    /// The form of MNIST in images of shape H, W, C: bright on dark, 20 of 28 pixels, with the centre of mass at the
    /// centre of the image or less than one pixel to the right and below. Colour images are only scaled.
    pub fn mnist(shape: [usize; 3]) -> Form {
        let [height, width, channels] = shape;
        Form { full_scale: u8::MAX, character: (channels == 1).then(|| Character::mnist([height, width])) }
    }

    /// The same form without the characters, for pictures that need only scaling.
    pub fn as_is(&self) -> Form {
        Form { full_scale: self.full_scale, character: None }
    }

    /// Scales the bytes of a file to the range that the network was trained on.
    pub fn rescale(&self, bytes: &mut [u8]) {
        let full = u32::from(self.full_scale.max(1));
        if self.full_scale < u8::MAX {
            bytes.iter_mut().for_each(|byte| *byte = ((u32::from(*byte) * 255 + full / 2) / full).min(255) as u8);
        }
    }

    /// Rescales a set to be evaluated. Returns a note if it looks so different from the training images that the
    /// network cannot be expected to read it.
    pub fn receive(&self, set: &mut Dataset) -> Option<String> {
        self.rescale(set.images_mut());
        let (there, here) = (self.character.as_ref()?, Form::measure(set, self.full_scale, false).character?);
        let contrast = |character: &Character| f32::from(character.ink) - f32::from(character.background);
        let ratio = contrast(&here) / contrast(there);
        let is_alike = (0.5..=2.0).contains(&ratio) && there.background.abs_diff(here.background) < 128;
        let values = |character: &Character| format!("ink {} on {}", character.ink, character.background);
        (!is_alike).then(|| {
            format!(
                "the {} images are {}, but the network was trained on {}: scale their pixels to the same range",
                set.name(),
                values(&here),
                values(there)
            )
        })
    }

    /// Checks that images of shape H, W, C can have this form.
    ///
    /// # Errors
    ///
    /// A message with the expected and the actual value of a field that is out of range.
    pub fn validate(&self, shape: [usize; 3]) -> Result<(), String> {
        let [height, width, channels] = shape;
        if self.full_scale == 0 {
            return Err("full_scale: expected a byte from 1 to 255, got 0".into());
        }
        match &self.character {
            Some(_) if channels != 1 => Err(format!("character: not supported for images with {channels} channels")),
            Some(character) => character.validate([height, width]),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Form {
    /// "ink 255 on 0, fitted to 20 x 20 of 28 x 28 pixels, centred by mass"
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.character {
            Some(character) => character.fmt(f)?,
            None => f.write_str("only scaled to the size of the network's images")?,
        }
        if self.full_scale < u8::MAX {
            write!(f, ", full scale {}", self.full_scale)?;
        }
        Ok(())
    }
}

impl Character {
    fn mnist(image: [usize; 2]) -> Character {
        let size = image.map(|side| side as f32 * MNIST_SIZE);
        Character {
            image,
            background: 0,
            ink: u8::MAX,
            size,
            least: [0.0; 2],
            most: size,
            anchor: [Anchor::Mass; 2],
            centre: image.map(|side| side as f32 / 2.0 + 0.5),
            transposed: false,
        }
    }

    fn validate(&self, image: [usize; 2]) -> Result<(), String> {
        let by = |[height, width]: [usize; 2]| format!("{height} x {width}");
        if self.image != image {
            return Err(format!("image: expected {}, got {}", by(image), by(self.image)));
        }
        if self.background == self.ink {
            return Err(format!("ink: expected a value different from the background, got {}", self.ink));
        }
        for (axis, side) in image.into_iter().enumerate() {
            let side = side as f32;
            let numbers = [self.least[axis], self.size[axis], self.most[axis]];
            if !numbers.iter().all(|number| (0.0..=side).contains(number)) || numbers[1] <= 0.0 {
                return Err(format!("least, size, most: expected pixels up to {side}, got {numbers:?}"));
            }
            if numbers[0] > numbers[2] {
                return Err(format!("least: expected at most {}, got {}", numbers[2], numbers[0]));
            }
            // In an image of one pixel, MNIST's rule may put the centre up to a pixel beyond the side.
            if !(0.0..=side + 1.0).contains(&self.centre[axis]) {
                return Err(format!("centre: expected pixels up to {side}, got {}", self.centre[axis]));
            }
        }
        Ok(())
    }
}

/// First pixel of a character on one axis, such that its anchor, `anchor` pixels from its start, is at `centre`. `free`
/// is the largest possible value.
fn corner(centre: f32, anchor: f64, free: usize) -> usize {
    (f64::from(centre) - 0.5 - anchor).ceil().clamp(0.0, free as f64) as usize
}

/// Row and column of the centre of mass, given positions with their ink.
fn centre_of_mass(pixels: impl Iterator<Item = ([u32; 2], f32)>) -> [f64; 2] {
    let (mut mass, mut moments) = (0.0, [0.0; 2]);
    for (place, ink) in pixels {
        mass += f64::from(ink);
        for (moment, at) in moments.iter_mut().zip(place) {
            *moment += f64::from(ink) * (f64::from(at) + 0.5);
        }
    }
    moments.map(|moment| moment / mass)
}

impl fmt::Display for Character {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |[height, width]: [f32; 2]| format!("{} x {}", rounded(height), rounded(width));
        write!(f, "ink {} on {}, ", self.ink, self.background)?;
        if self.least == self.most {
            write!(f, "stretched to {}", by(self.most))?;
        } else {
            write!(f, "fitted to {}", by(self.size))?;
        }
        write!(f, " of {} pixels", by(self.image.map(|side| side as f32)))?;
        match self.anchor {
            [Anchor::Mass, Anchor::Mass] => f.write_str(", centred by mass")?,
            [Anchor::Box, Anchor::Box] => f.write_str(", centred by its box")?,
            [Anchor::Mass, Anchor::Box] => f.write_str(", centred by mass vertically, by its box horizontally")?,
            [Anchor::Box, Anchor::Mass] => f.write_str(", centred by its box vertically, by mass horizontally")?,
        }
        if self.transposed { f.write_str(", rows and columns swapped") } else { Ok(()) }
    }
}

/// Rounded to a tenth, so that whole numbers print without `.0`.
fn rounded(pixels: f32) -> f32 {
    (pixels * 10.0).round() / 10.0
}

#[cfg(all(test, feature = "images"))]
mod tests;
