//! Training what is missing of a list of jobs, a line a run.

use super::runs::{Common, Job, Run, State};
use crate::cli::output::{grouped, percent};
use crate::cli::stop_on_ctrl_c;
use crate::cli::train::Ended;
use shadegrad::{Error, Result};
use std::sync::atomic::Ordering;

/// What there is of each job. The first that is damaged is an error, before anything is done.
pub fn examine(jobs: &[Job], common: &Common) -> Result<Vec<State>> {
    jobs.iter().map(|job| job.examine(common)).collect()
}

/// Trains every job that is not finished; what is there is kept, and gone on with.
pub fn train(jobs: &[Job], common: &Common, quiet: bool) -> Result<Ended> {
    let say = |line: String| {
        if !quiet {
            println!("{line}");
        }
    };
    let stop = stop_on_ctrl_c();
    let is_finished = |state: &State| matches!(state, State::Finished(_));
    let mut done = examine(jobs, common)?.iter().filter(|state| is_finished(state)).count();
    if done > 0 {
        say(format!("{done} of {} runs are finished and kept", jobs.len()));
    }
    for job in jobs {
        let state = job.examine(common)?;
        if is_finished(&state) {
            continue;
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(Ended::Interrupted(job.folder.clone()));
        }
        if let State::Unfinished(epochs) = state {
            say(format!("{}  goes on after {epochs} of {} epochs", job.title, job.epochs));
        }
        if let interrupted @ Ended::Interrupted(_) = job.train(&state, common)? {
            return Ok(interrupted);
        }
        let State::Finished(run) = job.examine(common)? else {
            let problem = "trained to its end, but its files do not say so: metrics.jsonl and confusion.csv disagree";
            return Err(Error::file(&job.folder, problem));
        };
        done += 1;
        say(format!("{}  {}  ({done} of {} runs)", job.title, line(&run), jobs.len()));
    }
    Ok(Ended::Whole)
}

fn line(run: &Run) -> String {
    let last = run.last();
    format!(
        "{} epochs  accuracy {}  loss {:.4}  {}  {} images/s",
        last.epoch,
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
