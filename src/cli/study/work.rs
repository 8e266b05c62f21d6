//! Training what is missing of a list of jobs, a line a run.

use super::runs::{Common, Job, Run, State};
use crate::cli::output::{counted, grouped, outln, percent};
use crate::cli::stop_on_ctrl_c;
use crate::cli::train::Ended;
use shadegrad::{Error, Result};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// What there is of each job. The first that is damaged is an error, before anything is done.
pub fn examine<'j>(jobs: impl IntoIterator<Item = &'j Job>, common: &Common) -> Result<Vec<State>> {
    jobs.into_iter().map(|job| job.examine(common)).collect()
}

/// How far a list of jobs has come.
#[derive(Default)]
pub struct Trained {
    /// By Ctrl-C.
    pub is_interrupted: bool,
    /// The folders of runs whose loss or weights did not stay finite.
    pub diverged: Vec<PathBuf>,
    /// The folders of runs for which memory or device were not enough, and what was said of each.
    pub failed: Vec<(PathBuf, String)>,
    /// What ended it before all were tried.
    pub error: Option<Error>,
}

/// Trains every job that is not finished; what is there is kept, and gone on with. A run that diverges, or that is too large
/// for memory or device, does not hold up the others. Whatever else goes wrong ends it; what is finished can still be
/// reported.
pub fn train(jobs: &[Job], common: &Common, quiet: bool) -> Trained {
    let mut trained = Trained::default();
    trained.error = train_each(jobs, common, quiet, &mut trained).err();
    trained
}

fn train_each(jobs: &[Job], common: &Common, quiet: bool, trained: &mut Trained) -> Result<()> {
    let say = |line: String| if quiet { Ok(()) } else { outln!("{line}") };
    let stop = stop_on_ctrl_c();
    let is_finished = |state: &State| matches!(state, State::Finished(_));
    let mut done = examine(jobs, common)?.iter().filter(|state| is_finished(state)).count();
    if done > 0 {
        say(format!("finished and kept: {done} of {}", counted(jobs.len(), "run")))?;
    }
    for job in jobs {
        let state = job.examine(common)?;
        if is_finished(&state) {
            continue;
        }
        if stop.load(Ordering::Relaxed) {
            trained.is_interrupted = true;
            return Ok(());
        }
        if let State::Unfinished(epochs) = state {
            say(format!("{}  goes on after {epochs} of {}", job.title, counted(job.epochs, "epoch")))?;
        }
        match job.train(&state, common) {
            Ok(Ended::Whole) => {}
            Ok(Ended::Interrupted(_)) => {
                trained.is_interrupted = true;
                return Ok(());
            }
            Err(Error::NotFinite(problem)) => {
                say(format!("{}  diverged: {}", job.title, problem.lines().next().unwrap_or_default()))?;
                trained.diverged.push(job.folder.clone());
                continue;
            }
            Err(error @ (Error::Memory(_) | Error::Device(_) | Error::DeviceLost(_))) => {
                let problem = error.to_string().lines().next().unwrap_or_default().to_string();
                say(format!("{}  failed: {problem}", job.title))?;
                trained.failed.push((job.folder.clone(), problem));
                continue;
            }
            Err(error) => return Err(error),
        }
        let State::Finished(run) = job.examine(common)? else {
            let problem = "trained to its end, but its files do not say so: metrics.jsonl and confusion.csv disagree";
            return Err(Error::file(&job.folder, problem));
        };
        done += 1;
        say(format!("{}  {}  ({done} of {})", job.title, line(&run), counted(jobs.len(), "run")))?;
    }
    Ok(())
}

fn line(run: &Run) -> String {
    let last = run.last();
    format!(
        "{}  accuracy {}  loss {:.4}  {}  {} images/s",
        counted(last.epoch, "epoch"),
        percent(last.val_accuracy),
        last.val_loss,
        duration(run.seconds()),
        grouped(last.images_per_second.round() as u64)
    )
}

/// 8.2 s, 4 min 10 s, 2 h 05 min
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
