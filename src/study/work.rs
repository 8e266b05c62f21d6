//! Trains the missing runs of a list of jobs.

use super::event::{StudyEvent, StudyObserver};
use super::runs::{Common, Job, JobState};
use crate::error::{Error, Result};
use crate::run::{RunEnd, RunEvent};
use std::path::PathBuf;

/// The state of each job. The first damaged one is returned as an error, before any training.
pub(super) fn examine<'j>(jobs: impl IntoIterator<Item = &'j Job>, common: &Common) -> Result<Vec<JobState>> {
    jobs.into_iter().map(|job| job.examine(common)).collect()
}

/// The result of training a list of jobs.
#[derive(Default)]
pub struct Trained {
    /// Whether the observer has ended it.
    pub is_interrupted: bool,
    /// The folders of runs whose loss or weights became non-finite.
    pub diverged: Vec<PathBuf>,
    /// The folders of runs that failed because of the memory or the device, each with the message.
    pub failed: Vec<(PathBuf, String)>,
    /// The error that ended the training before all jobs were tried.
    pub error: Option<Error>,
}

/// Trains every job that is not finished, resuming those that were interrupted. A run that diverges, or fails because
/// of the memory or the device, does not stop the study. Any other error ends it; finished runs can still be reported.
pub(super) async fn train(jobs: &[Job], common: &Common, observer: &mut StudyObserver<'_>) -> Trained {
    let mut trained = Trained::default();
    trained.error = train_each(jobs, common, observer, &mut trained).await.err();
    trained
}

async fn train_each(
    jobs: &[Job],
    common: &Common,
    observer: &mut StudyObserver<'_>,
    trained: &mut Trained,
) -> Result<()> {
    let is_finished = |state: &JobState| matches!(state, JobState::Finished(_));
    let mut done = examine(jobs, common)?.iter().filter(|state| is_finished(state)).count();
    let of = jobs.len();
    if done > 0 {
        let _ = observer(StudyEvent::Kept { done, of })?;
    }
    for job in jobs {
        let state = job.examine(common)?;
        if is_finished(&state) {
            continue;
        }
        let epochs = if let JobState::Unfinished(epochs) = state { epochs } else { 0 };
        if observer(StudyEvent::Begins { job, epochs })?.is_break() {
            trained.is_interrupted = true;
            return Ok(());
        }
        let mut hear = |event: RunEvent<'_>| observer(StudyEvent::Run { job, event: &event });
        match job.train(&state, common, &mut hear).await {
            Ok(run) if run.end == RunEnd::Interrupted => {
                trained.is_interrupted = true;
                return Ok(());
            }
            Ok(_) => {}
            Err(Error::NotFinite(problem)) => {
                let problem = problem.lines().next().unwrap_or_default();
                let _ = observer(StudyEvent::Diverged { job, problem })?;
                trained.diverged.push(job.folder.clone());
                continue;
            }
            Err(error @ (Error::Memory(_) | Error::Device(_) | Error::DeviceLost(_))) => {
                let problem = error.to_string().lines().next().unwrap_or_default().to_string();
                let _ = observer(StudyEvent::Failed { job, problem: &problem })?;
                trained.failed.push((job.folder.clone(), problem));
                continue;
            }
            Err(error) => return Err(error),
        }
        let JobState::Finished(run) = job.examine(common)? else {
            let problem =
                "training has finished, but the files do not show it: metrics.jsonl and confusion.csv disagree";
            return Err(Error::file(&job.folder, problem));
        };
        done += 1;
        let _ = observer(StudyEvent::Finished { job, run: &run, done, of })?;
    }
    Ok(())
}

/// A duration with suitable units: 8.2 s, 4 min 10 s, 2 h 05 min.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_have_units_of_their_size() {
        for (seconds, text) in
            [(0.04, "0.0 s"), (8.2, "8.2 s"), (59.4, "59 s"), (250.0, "4 min 10 s"), (7499.0, "2 h 04 min")]
        {
            assert_eq!(duration(seconds), text);
        }
    }
}
