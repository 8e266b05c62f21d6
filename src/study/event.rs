//! What whoever runs a study hears of it.

use super::choice::Tried;
use super::runs::{FinishedRun, Job};
use crate::error::Result;
use crate::run::RunEvent;
use std::ops::ControlFlow;

/// Who hears what a study does. It ends the study by [`ControlFlow::Break`] or by an error.
pub type StudyObserver<'o> = dyn FnMut(StudyEvent<'_>) -> Result<ControlFlow<()>> + 'o;

/// Something that happens in a study.
#[non_exhaustive]
pub enum StudyEvent<'a> {
    /// Some runs are finished already, and kept.
    Kept {
        /// Runs that are finished.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// A run begins, or goes on.
    Begins {
        /// The training that it is about.
        job: &'a Job,
        /// Epochs that are done already.
        epochs: usize,
    },
    /// Something happens in a run.
    Run {
        /// The training that it is about.
        job: &'a Job,
        /// What happens in it.
        event: &'a RunEvent<'a>,
    },
    /// The loss or a weight of a run did not stay finite. The others go on.
    Diverged {
        /// The training that it is about.
        job: &'a Job,
        /// What is said of it.
        problem: &'a str,
    },
    /// Memory or device were not enough for a run. The others go on.
    Failed {
        /// The training that it is about.
        job: &'a Job,
        /// What is said of it.
        problem: &'a str,
    },
    /// A run is finished.
    Finished {
        /// The training that it is about.
        job: &'a Job,
        /// What it has reached.
        run: &'a FinishedRun,
        /// Runs that are finished.
        done: usize,
        /// Runs of the study.
        of: usize,
    },
    /// A point of the grid has been tried.
    Tried {
        /// Training of the point.
        job: &'a Job,
        /// What it has reached.
        point: &'a Tried,
    },
}
