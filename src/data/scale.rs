//! The `--scale` option: the byte in the files that becomes 1 in the network's input.

use super::{DataPair, form::Form};
use std::fmt;
use std::str::FromStr;

/// How the bytes of pixels are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// They are divided by this byte: 255 by default.
    By(u8),
    /// They are divided by the brightest pixel of the training set.
    Max,
}

impl Default for Scale {
    fn default() -> Scale {
        Scale::By(u8::MAX)
    }
}

impl Scale {
    /// Scales both sets by the same byte, which is returned. Brighter pixels, which a test set may have, also become
    /// 255.
    pub fn apply(self, data: &mut DataPair) -> u8 {
        let full_scale = match self {
            Scale::By(byte) => byte,
            Scale::Max => data.train.images().iter().copied().max().filter(|byte| *byte > 0).unwrap_or(u8::MAX),
        };
        let form = Form { full_scale, character: None };
        form.rescale(data.train.images_mut());
        form.rescale(data.test.images_mut());
        full_scale
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scale::By(byte) => byte.fmt(f),
            Scale::Max => f.write_str("max"),
        }
    }
}

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Scale, String> {
        match text.parse() {
            _ if text == "max" => Ok(Scale::Max),
            Ok(byte) if byte > 0 => Ok(Scale::By(byte)),
            _ => Err("expected a byte from 1 to 255, or `max`".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;

    fn data(train: &[u8], test: &[u8]) -> DataPair {
        let set = |name: &str, images: &[u8]| {
            Dataset::new(images.into(), vec![0; images.len()], [1, 1, 1], 2).unwrap().named(name)
        };
        DataPair { train: set("train", train), test: set("test", test), source: "bytes".into() }
    }

    #[test]
    fn the_brightest_training_pixel_becomes_255() {
        let mut pair = data(&[0, 1, 8, 15, 16], &[0, 4, 16, 20]);
        assert_eq!(Scale::Max.apply(&mut pair), 16);
        // v * 255 / 16, rounded to the nearest integer.
        assert_eq!(pair.train.images(), [0, 16, 128, 239, 255]);
        assert_eq!(pair.test.images(), [0, 64, 255, 255]);
        let mut same = data(&[0, 1, 8, 15, 16], &[0, 4, 16, 20]);
        assert_eq!(Scale::By(16).apply(&mut same), 16);
        assert_eq!((same.train, same.test), (pair.train, pair.test));
    }

    #[test]
    fn by_255_and_of_black_nothing_changes() {
        for (scale, train) in [(Scale::default(), [0, 7, 200]), (Scale::Max, [0, 7, 255]), (Scale::Max, [0, 0, 0])] {
            let mut pair = data(&train, &[3, 255]);
            assert_eq!(scale.apply(&mut pair), 255);
            assert_eq!((pair.train.images(), pair.test.images()), (&train[..], &[3, 255][..]));
        }
    }

    #[test]
    fn scales_are_bytes_or_max() {
        for text in ["max", "255", "16", "1"] {
            assert_eq!(text.parse::<Scale>().unwrap().to_string(), text);
        }
        for wrong in ["0", "256", "-1", "", "min", "16.0"] {
            assert!(wrong.parse::<Scale>().is_err(), "{wrong}");
        }
    }
}
