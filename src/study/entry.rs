//! What a report tells of.

use super::plan::Subject;
use super::runs::Run;

/// A network with its finished runs.
pub struct Entry {
    pub subject: Subject,
    pub runs: Vec<Run>,
    /// What is not finished: "seed 3: 4 of 15 epochs".
    pub missing: Vec<String>,
}
