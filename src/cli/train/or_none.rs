//! `none` in place of an option's value: switches off what a network's `[training]`, or the run that goes on, would switch on.

use std::str::FromStr;

/// A value, or the word `none`.
#[derive(Clone, Copy)]
pub struct OrNone<T>(pub Option<T>);

impl<T: FromStr> FromStr for OrNone<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "none" { Ok(OrNone(None)) } else { text.parse().map(|value| OrNone(Some(value))) }
    }
}
