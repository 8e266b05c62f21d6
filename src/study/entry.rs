//! Contents of a report.

use super::plan::Subject;
use super::runs::FinishedRun;

/// A network and its finished runs.
pub struct Entry {
    pub subject: Subject,
    pub runs: Vec<FinishedRun>,
    /// The seeds that are not finished: "seed 3: 4 of 15 epochs".
    pub missing: Vec<String>,
}
