//! Errors about options, in a form that every front end can print with its own option names.

use super::expect;
use std::fmt;

/// An error about a training option.
///
/// [`Display`](fmt::Display) uses the names of fields: `label_smoothing must be at least 0 and below 1, got 2`. A front
/// end with other names prints [`OptionError::with_names`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The field of an option.
    Field(&'static str),
}

impl OptionError {
    /// A message that starts with the name of a field: `epochs` and `must be at least 1, got 0`.
    pub fn new(field: &'static str, problem: impl fmt::Display) -> OptionError {
        OptionError { parts: vec![Part::Field(field)] }.and(format!(" {problem}"))
    }

    /// Appends text to the message.
    pub(crate) fn and(mut self, text: impl fmt::Display) -> OptionError {
        self.parts.push(Part::Text(text.to_string()));
        self
    }

    /// Appends the name of another field to the message.
    pub(crate) fn field(mut self, field: &'static str) -> OptionError {
        self.parts.push(Part::Field(field));
        self
    }

    /// The field that the message is about.
    pub fn option(&self) -> &'static str {
        self.parts.iter().find_map(|part| if let Part::Field(field) = part { Some(*field) } else { None }).unwrap_or("")
    }

    /// The message with the fields replaced by other names: `|field| format!("--{field}")`.
    pub fn with_names(&self, name: impl Fn(&str) -> String) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(field) => name(field),
        };
        self.parts.iter().map(text).collect()
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_names(str::to_string))
    }
}

impl std::error::Error for OptionError {}

/// Fails unless `is_fine`: `field expected, got value`, where `expected` starts with a verb.
pub(crate) fn check(
    is_fine: bool,
    field: &'static str,
    expected: &str,
    value: &dyn fmt::Display,
) -> Result<(), OptionError> {
    expect(is_fine, expected, value).map_err(|problem| OptionError::new(field, problem))
}
