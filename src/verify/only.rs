//! The selection of what to verify, as written for `--only`.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// The shape of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The edge case with this number in the list of its pass: `17`.
    Listed(usize),
    /// The shape with this number among those drawn by a seed: `random17`.
    Random(usize),
}

impl FromStr for Shape {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Shape, ParseIntError> {
        match text.strip_prefix("random") {
            Some(number) => number.parse().map(Shape::Random),
            None => text.parse().map(Shape::Listed),
        }
    }
}

impl fmt::Display for Shape {
    /// The text that parses to this value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Listed(number) => write!(f, "{number}"),
            Shape::Random(number) => write!(f, "random{number}"),
        }
    }
}

/// A part of what can be verified: `conv2d`, `conv2d.forward`, `conv2d.forward:17` (a shape), `conv2d.forward:random17`
/// (a shape drawn by the seed), `conv2d.forward:17:3` (a variant), `training`, `exp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Only {
    pub(super) name: String,
    pub(super) shape: Option<Shape>,
    pub(super) variant: Option<usize>,
}

impl FromStr for Only {
    type Err = String;

    fn from_str(text: &str) -> Result<Only, String> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default().to_string();
        let shape = parts.next().map(str::parse).transpose();
        let variant = parts.next().map(str::parse).transpose();
        match (shape, variant, parts.next()) {
            (Ok(shape), Ok(variant), None) if !name.is_empty() => Ok(Only { name, shape, variant }),
            _ => Err(format!("expected PASS, PASS:SHAPE or PASS:SHAPE:VARIANT as `verify` prints it, got `{text}`")),
        }
    }
}

impl fmt::Display for Only {
    /// The text that parses to this value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.shape.iter().try_for_each(|shape| write!(f, ":{shape}"))?;
        self.variant.iter().try_for_each(|variant| write!(f, ":{variant}"))
    }
}

impl Only {
    /// Whether it selects `name`: the name itself, or a group that contains it.
    pub(super) fn takes(&self, name: &str) -> bool {
        name.strip_prefix(&self.name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
    }
}
