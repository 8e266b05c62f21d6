//! What a report tells of.

use super::plan::Subject;
use super::runs::FinishedRun;

/// A network with its finished runs.
pub struct Entry {
    pub subject: Subject,
    pub runs: Vec<FinishedRun>,
    /// What is not finished: "seed 3: 4 of 15 epochs".
    pub missing: Vec<String>,
}
