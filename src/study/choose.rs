//! Chooses learning rate and momentum by a grid search, judged by images held out of the training set. The test set is
//! not used.

use super::choice::{Choice, FOLDER, LEARNING_RATES, MOMENTA, Reached, Tried, best};
use super::event::{StudyEvent, StudyObserver};
use super::plan::{Descent, Subject};
use super::runs::{Common, Job, JobState};
use super::work::examine;
use crate::data::Share;
use crate::error::{Error, Result};
use crate::run::{RunEnd, RunEvent, Validation};
use crate::train::ScheduleKind;
use std::path::Path;

/// Default number of images held out.
pub const HELD_OUT: usize = 5000;

/// Seed of each training.
pub const SEED: u64 = 1;

/// A point of the grid and its training.
pub struct Point {
    descent: Descent,
    /// The training.
    pub job: Job,
}

/// The grid for a network.
pub(super) fn grid(
    subject: &Subject,
    schedule: ScheduleKind,
    held_out: usize,
    out: &Path,
    common: &Common,
) -> Result<Vec<Point>> {
    let descents = LEARNING_RATES.iter().flat_map(|rate| {
        MOMENTA.iter().map(move |momentum| Descent { learning_rate: *rate, momentum: *momentum, schedule })
    });
    descents
        .map(|descent @ Descent { learning_rate, momentum, .. }| {
            let validation = Validation::HeldOut(Share::Count(held_out));
            let subject = Subject { recipe: descent.recipe(), validation, ..subject.clone() };
            let mut job = subject.job(SEED, out, common)?;
            job.folder = out.join(FOLDER).join(format!("{}-rate{learning_rate}-momentum{momentum}", subject.model));
            job.options.out = Some(job.folder.clone());
            job.title = format!("learning rate {learning_rate}  momentum {momentum}");
            Ok(Point { descent, job })
        })
        .collect()
}

/// Trains the missing points of the grid, chooses the best, and writes `choice.md`, `choice.csv` and `choice.toml`.
/// `None` if it was interrupted.
pub(super) async fn choose(
    grid: &[Point],
    held_out: usize,
    common: &Common,
    out: &Path,
    observer: &mut StudyObserver<'_>,
) -> Result<Option<Choice>> {
    examine(grid.iter().map(|point| &point.job), common)?;
    let mut tried = Vec::new();
    for Point { descent: Descent { learning_rate, momentum, .. }, job } in grid {
        let Some(reached) = reach(job, common, observer).await? else { return Ok(None) };
        let point = Tried { learning_rate: *learning_rate, momentum: *momentum, reached };
        let _ = observer(StudyEvent::Tried { job, point: &point })?;
        tried.push(point);
    }
    let (Some(best), Some(Point { descent, job: like })) = (best(&tried), grid.first()) else {
        return Err(Error::NotFinite("every point of the grid diverged".into()));
    };
    let choice = Choice {
        model: like.options.model.clone(),
        data: common.data_name(),
        held_out,
        epochs: like.epochs(),
        seed: like.seed(),
        schedule: descent.schedule,
        learning_rate: best.learning_rate,
        momentum: best.momentum,
        tried,
    };
    choice.write(out)?;
    Ok(Some(choice))
}

/// Trains a point of the grid if necessary. The outer `None` means interrupted, the inner one diverged.
async fn reach(job: &Job, common: &Common, observer: &mut StudyObserver<'_>) -> Result<Option<Option<Reached>>> {
    let mut state = job.examine(common)?;
    if !matches!(state, JobState::Finished(_)) {
        if observer(StudyEvent::Begins { job, epochs: 0 })?.is_break() {
            return Ok(None);
        }
        let mut hear = |event: RunEvent<'_>| observer(StudyEvent::Run { job, event: &event });
        match job.train(&state, common, &mut hear).await {
            Ok(run) if run.end == RunEnd::Interrupted => return Ok(None),
            Ok(_) => state = job.examine(common)?,
            Err(Error::NotFinite(_)) => return Ok(Some(None)),
            Err(error) => return Err(error),
        }
    }
    match state {
        JobState::Finished(run) => {
            let last = run.last();
            Ok(Some(Some(Reached { accuracy: last.val_accuracy, loss: last.val_loss })))
        }
        _ => Err(Error::file(&job.folder, "training has finished, but the files do not show it")),
    }
}
