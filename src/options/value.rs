//! Option values that are written as text: `none`, a span of a run, the interval between checkpoints.

use crate::ops::augment::Augment;
use crate::text::brief;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

/// The value of an option, or `none`, which turns off what a network's recipe turns on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrNone<T>(pub Option<T>);

/// A type of values that may also be `none`.
pub trait OptionValue: FromStr<Err: fmt::Display> + fmt::Display {
    /// The start of the error message about an invalid text, before the text is quoted.
    fn expected(error: Self::Err) -> String {
        error.to_string()
    }
}

impl OptionValue for usize {
    fn expected(_: Self::Err) -> String {
        "expected a whole number, not negative".into()
    }
}

impl OptionValue for f32 {
    fn expected(_: Self::Err) -> String {
        "expected a number".into()
    }
}

impl OptionValue for Span {}
impl OptionValue for Augment {}

impl<T: FromStr> FromStr for OrNone<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "none" { Ok(OrNone(None)) } else { text.parse().map(|value| OrNone(Some(value))) }
    }
}

impl<T: fmt::Display> fmt::Display for OrNone<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("none"),
            Some(value) => value.fmt(f),
        }
    }
}

impl<T: fmt::Display> Serialize for OrNone<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de, T: OptionValue> Deserialize<'de> for OrNone<T> {
    /// Accepts text or a number.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextOrNumber(PhantomData))
    }
}

struct TextOrNumber<T>(PhantomData<T>);

impl<T: OptionValue> TextOrNumber<T> {
    fn parse<E: de::Error>(text: &str, shown: &dyn fmt::Display) -> Result<OrNone<T>, E> {
        text.parse().map_err(|error| {
            let expected = T::expected(error);
            // Some messages already say what they got.
            let got = if expected.contains("got ") { String::new() } else { format!(", got {shown}") };
            E::custom(format!("{expected}{got}"))
        })
    }
}

impl<T: OptionValue> Visitor<'_> for TextOrNumber<T> {
    type Value = OrNone<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<OrNone<T>, E> {
        TextOrNumber::parse(text, &format_args!("{:?}", brief(text)))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<OrNone<T>, E> {
        TextOrNumber::parse(&number.to_string(), &number)
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<OrNone<T>, E> {
        TextOrNumber::parse(&number.to_string(), &number)
    }
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<OrNone<T>, E> {
        TextOrNumber::parse(&number.to_string(), &number)
    }
}

/// Makes a type serialize as the text that it displays, and deserialize by parsing that text.
macro_rules! serialized_as_text {
    ($name:ty) => {
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = <$name as FromStr>::Err;

            fn try_from(text: String) -> Result<$name, Self::Error> {
                text.parse()
            }
        }
    };
}

/// The number at the start of a text, at least 1, and its unit: `10min`.
fn number_and_unit(text: &str) -> Option<(usize, &str)> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    Some((number, &text[digits.len()..]))
}

/// A span of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Span {
    /// A number of steps: `500`, `500steps`.
    Steps(usize),
    /// A number of epochs: `2epochs`.
    Epochs(usize),
}

impl Span {
    /// The length in steps, at `epoch_steps` steps per epoch.
    pub(crate) fn steps(self, epoch_steps: usize) -> usize {
        match self {
            Span::Steps(steps) => steps,
            Span::Epochs(epochs) => epochs.saturating_mul(epoch_steps),
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        match number_and_unit(text) {
            Some((steps, "" | "step" | "steps")) => Ok(Span::Steps(steps)),
            Some((epochs, "epoch" | "epochs")) => Ok(Span::Epochs(epochs)),
            _ => Err("expected a number of steps or of epochs, at least 1: 500, 500steps, 2epochs".into()),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Span::Steps(steps) => write!(f, "{steps}steps"),
            Span::Epochs(epochs) => write!(f, "{epochs}epochs"),
        }
    }
}

serialized_as_text!(Span);

/// Interval between two checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Interval {
    /// A number of steps: `500`, `500steps`.
    Steps(usize),
    /// A number of minutes: `10min`.
    Minutes(u64),
}

impl Interval {
    /// Steps from `step` to the next checkpoint; no limit if the interval is in minutes.
    pub(crate) fn left(self, step: usize) -> usize {
        match self {
            Interval::Steps(every) => every - step % every,
            Interval::Minutes(_) => usize::MAX,
        }
    }

    /// Whether a checkpoint is due after `step`, with `since` elapsed since the last one.
    pub(crate) fn is_due(self, step: usize, since: Duration) -> bool {
        match self {
            Interval::Steps(every) => step.is_multiple_of(every),
            Interval::Minutes(minutes) => since.as_secs() / 60 >= minutes,
        }
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Interval, String> {
        match number_and_unit(text) {
            Some((steps, "" | "step" | "steps")) => Ok(Interval::Steps(steps)),
            Some((minutes, "min")) => Ok(Interval::Minutes(minutes as u64)),
            _ => Err("expected a number of steps or of minutes, at least 1: 500, 500steps, 10min".into()),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Interval::Steps(steps) => write!(f, "{steps}steps"),
            Interval::Minutes(minutes) => write!(f, "{minutes}min"),
        }
    }
}

serialized_as_text!(Interval);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_steps_or_epochs() {
        for (text, expected) in [
            ("500", Span::Steps(500)),
            ("1step", Span::Steps(1)),
            ("2epochs", Span::Epochs(2)),
            ("1epoch", Span::Epochs(1)),
        ] {
            assert_eq!(text.parse(), Ok(expected));
            assert_eq!(expected.to_string().parse(), Ok(expected));
        }
        for wrong in ["", "0", "0epochs", "-1", "epochs", "1.5epochs", "10min", "5stepss"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }
}
