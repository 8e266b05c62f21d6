//! The images that the epochs of a run are evaluated on.

use crate::data::{DataPair, Share};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The images that epochs are evaluated on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Validation {
    /// The test set: `test`.
    #[default]
    Test,
    /// Training images that are held out and not trained on: a share such as `0.1`, or a number such as `5000`.
    HeldOut(Share),
}

impl FromStr for Validation {
    type Err = String;

    fn from_str(text: &str) -> Result<Validation, String> {
        if text == "test" { Ok(Validation::Test) } else { text.parse().map(Validation::HeldOut) }
    }
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Validation::Test => f.write_str("test"),
            Validation::HeldOut(share) => share.fmt(f),
        }
    }
}

impl From<Validation> for String {
    fn from(validation: Validation) -> String {
        validation.to_string()
    }
}

impl TryFrom<String> for Validation {
    type Error = String;

    fn try_from(text: String) -> Result<Validation, String> {
        text.parse()
    }
}

impl Validation {
    /// Splits the data into the sets that a run trains on and is evaluated on; `seed` decides which images are held
    /// out.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`](crate::Error::Usage) if more images are to be held out than there are.
    pub fn divide(self, mut data: DataPair, seed: u64) -> Result<DataPair> {
        if let Validation::HeldOut(share) = self {
            let count = share.of(data.train.len());
            (data.train, data.test) = data.train.hold_out(count, seed)?;
        }
        Ok(data)
    }
}
