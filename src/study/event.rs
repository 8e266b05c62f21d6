//! The events of a study.

use super::choice::Tried;
use super::runs::{FinishedRun, Job};
use crate::error::Result;
use crate::run::RunEvent;
use std::ops::ControlFlow;

/// Receives the events of a study. It ends the study with [`ControlFlow::Break`] or an error.
pub type StudyObserver<'o> = dyn FnMut(StudyEvent<'_>) -> Result<ControlFlow<()>> + 'o;

/// An event of a study.
#[non_exhaustive]
pub enum StudyEvent<'a> {
    /// Some runs were already finished, and are kept.
    Kept {
        /// Number of finished runs.
        done: usize,
        /// Number of runs in the study.
        of: usize,
    },
    /// A run starts or resumes.
    Begins {
        /// The training of the run.
        job: &'a Job,
        /// Number of epochs already done.
        epochs: usize,
    },
    /// An event of a run.
    Run {
        /// The training of the run.
        job: &'a Job,
        /// The event.
        event: &'a RunEvent<'a>,
    },
    /// The loss or a weight of a run became non-finite. The other runs continue.
    Diverged {
        /// The training of the run.
        job: &'a Job,
        /// The error message.
        problem: &'a str,
    },
    /// A run failed because of the memory or the device. The other runs continue.
    Failed {
        /// The training of the run.
        job: &'a Job,
        /// The error message.
        problem: &'a str,
    },
    /// A run has finished.
    Finished {
        /// The training of the run.
        job: &'a Job,
        /// Its results.
        run: &'a FinishedRun,
        /// Number of finished runs.
        done: usize,
        /// Number of runs in the study.
        of: usize,
    },
    /// A run has been finished by another process that shares the study.
    Elsewhere {
        /// The training of the run.
        job: &'a Job,
        /// Its results.
        run: &'a FinishedRun,
        /// Number of finished runs.
        done: usize,
        /// Number of runs in the study.
        of: usize,
    },
    /// No run is free, and at least this one is being trained by another process. Told again and again until a run is
    /// free or all are finished.
    Waits {
        /// The training of the run.
        job: &'a Job,
    },
    /// A point of the grid has been tried.
    Tried {
        /// The training of the point.
        job: &'a Job,
        /// Its result.
        point: &'a Tried,
    },
}
