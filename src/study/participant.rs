//! The processes that train the runs of a study: which runs each of them takes, and which one writes the report.
//!
//! Three kinds of locks keep them apart, and all are released by the system when their process ends, however it ends.
//! `.lock` in the folder of the study is held by a process that works alone, or shared by all that work together.
//! `.share.lock` is held for a moment by a process that enters or leaves, so that only one does at a time; the last to
//! leave keeps it until the report is written. `runs/.NAME.lock` is held by the process that trains that run, even before
//! the run has a folder; beside it, `runs/.NAME.diverged` tells the others that the run has diverged.

use super::runs::Job;
use crate::error::{Error, Result};
use crate::files::{Links, read_own_text_if_there, replace_own_file};
use crate::lock::Lock;
use crate::ranks::Collective;
use crate::run;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const BUSY: &str = "another process is training in this study; a report can be written meanwhile";

/// A process that takes part in training a study, until this is dropped or [leaves](Participant::leave).
pub struct Participant {
    part: Part,
    /// A warning for the user: that the file system has no locks, or what follows from it.
    pub warning: Option<String>,
}

/// What a participant trains, and what it holds meanwhile.
enum Part {
    /// Everything: nobody else takes part.
    All(Lock),
    /// Whatever run is free, one after the other.
    Free(Member),
    /// A fixed part of the list of runs, for ranks whose locks other machines do not see. Rank 0 holds the lock.
    Fixed { rank: usize, ranks: usize, lock: Option<Lock> },
}

/// Keeps other processes out of the study while the report is written.
pub struct Last {
    _lock: Option<Lock>,
    _gate: Option<Lock>,
}

/// The right to train a run; released when this is dropped.
pub(super) struct Claim {
    _lock: Option<Lock>,
}

impl Participant {
    /// A process that works alone in the folder of a study.
    pub(super) fn alone(out: &Path) -> Result<Participant> {
        fs::create_dir_all(out).map_err(Error::io("create", out))?;
        let lock = run::lock(out, BUSY)?;
        let warning = run::lock_warning(out, &lock);
        Ok(Participant { part: Part::All(lock), warning })
    }

    /// One of several processes that take runs as they become free.
    pub(super) fn sharing(out: &Path, jobs: &[Job]) -> Result<Participant> {
        let member = Member::join(out, jobs)?;
        Ok(Participant { part: Part::Free(member), warning: None })
    }

    /// One of several ranks. They take runs as they become free, if every rank sees the locks of rank 0, and otherwise
    /// a fixed part each.
    pub(super) fn rank(out: &Path, jobs: &[Job], ranks: &dyn Collective) -> Result<Participant> {
        if locks_reach(out, ranks)? {
            return ranks.together(Participant::sharing(out, jobs));
        }
        let of_first = if ranks.leads() { Participant::alone(out).map(Some) } else { Ok(None) };
        let lock = ranks.together(of_first)?.and_then(|first| match first.part {
            Part::All(lock) => Some(lock),
            _ => None,
        });
        let warning = format!(
            "the file system of {} has no locks that every rank sees, so each rank trains a fixed part of the runs: \
             take care that no other process trains there",
            out.display()
        );
        let part = Part::Fixed { rank: ranks.rank(), ranks: ranks.ranks(), lock };
        Ok(Participant { part, warning: Some(warning).filter(|_| ranks.leads()) })
    }

    /// The runs that this process may train, in their order.
    pub(super) fn part_of<'j>(&self, jobs: &'j [Job]) -> Vec<&'j Job> {
        match self.part {
            Part::All(_) | Part::Free(_) => jobs.iter().collect(),
            Part::Fixed { rank, ranks, .. } => jobs.iter().skip(rank).step_by(ranks).collect(),
        }
    }

    /// Whether other processes may train the same runs.
    pub(super) fn shares(&self) -> bool {
        matches!(self.part, Part::Free(_))
    }

    /// The right to train a run; `None` if another process is training it.
    pub(super) fn claim(&self, job: &Job) -> Result<Option<Claim>> {
        if !self.shares() {
            return Ok(Some(Claim { _lock: None }));
        }
        let path = lock_file(job);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        let Some(lock) = Lock::take(&path, Links::Refuse)? else { return Ok(None) };
        // `train --resume` may be at work on the run, outside of any study.
        Ok((!run::is_locked(&job.folder)?).then_some(Claim { _lock: Some(lock) }))
    }

    /// Whether a run whose folder was not found has none indeed; to be called with the run's claim. Network file
    /// systems remember for a while that a folder did not exist, but ask the server when it is to be created.
    pub(super) fn is_missing(&self, job: &Job) -> Result<bool> {
        if !self.shares() {
            return Ok(true);
        }
        match fs::create_dir(&job.folder).and_then(|()| fs::remove_dir(&job.folder)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            tried => tried.map(|()| true).map_err(Error::io("create", &job.folder)),
        }
    }

    /// What another process has written about a run that diverged there; to be called with the run's claim.
    pub(super) fn diverged(&self, job: &Job) -> Result<Option<String>> {
        if self.shares() { read_own_text_if_there(&note_file(job), Links::Refuse) } else { Ok(None) }
    }

    /// Tells other processes that a run has diverged; to be called with the run's claim.
    pub(super) fn note_diverged(&self, job: &Job, problem: &str) -> Result<()> {
        if !self.shares() {
            return Ok(());
        }
        replace_own_file(&note_file(job), |file| file.write_all(problem.as_bytes()))
    }

    /// Ends the part of this process. The result is `Some` if it is the one to write the report: it works alone, or is
    /// rank 0, and no other process takes part any longer. If ranks take part, all must call this, and it waits for
    /// them.
    ///
    /// # Errors
    ///
    /// Those of [`Lock::take`] and of [`Collective::gather`].
    pub fn leave(self, ranks: &dyn Collective) -> Result<Option<Last>> {
        if !ranks.leads() {
            drop(self);
            ranks.gather(&[])?;
            return Ok(None);
        }
        ranks.gather(&[])?;
        match self.part {
            Part::All(lock) => Ok(Some(Last { _lock: Some(lock), _gate: None })),
            Part::Fixed { lock, .. } => Ok(Some(Last { _lock: lock, _gate: None })),
            Part::Free(member) => member.leave(),
        }
    }
}

/// One of the processes that share a study.
struct Member {
    out: PathBuf,
    lock: Lock,
    /// Files beside the folders of the runs, which are needed only while processes share the study.
    beside: Vec<PathBuf>,
}

impl Member {
    fn join(out: &Path, jobs: &[Job]) -> Result<Member> {
        fs::create_dir_all(out).map_err(Error::io("create", out))?;
        let gate = gate(out)?;
        if let Some(missing) = gate.missing() {
            return Err(Error::file(out, without_locks(missing)));
        }
        let beside: Vec<_> = jobs.iter().flat_map(|job| [lock_file(job), note_file(job)]).collect();
        // If nobody takes part yet, the notes are those of an earlier time. The lock is released before it is shared:
        // systems differ in what they do with a lock that is to change its kind.
        if let Some(alone) = run::try_lock(out)? {
            remove(&beside)?;
            drop(alone);
        }
        let lock = run::try_share_lock(out)?.ok_or_else(|| Error::file(out, BUSY))?;
        drop(gate);
        Ok(Member { out: out.to_path_buf(), lock, beside })
    }

    /// Ends the membership; `Some` if no other process shares the study any longer.
    fn leave(self) -> Result<Option<Last>> {
        let gate = gate(&self.out)?;
        drop(self.lock);
        // The gate lets processes leave one after the other, so the last one finds the folder free.
        let Some(alone) = run::try_lock(&self.out)? else { return Ok(None) };
        remove(&self.beside)?;
        Ok(Some(Last { _lock: Some(alone), _gate: Some(gate) }))
    }
}

/// Waits until no other process is entering or leaving the study, and keeps others from doing so.
fn gate(out: &Path) -> Result<Lock> {
    Lock::wait(&out.join(".share.lock"), Links::Refuse, None, || ())
}

fn without_locks(missing: &std::io::Error) -> String {
    format!(
        "the file system has no locks ({missing}), so two processes would train the same run; give each process runs of \
         its own, by --cases or by the networks that it names, without --share, or start all of them as ranks of MPI"
    )
}

/// The file beside the folder of a run that the process locks which trains it.
fn lock_file(job: &Job) -> PathBuf {
    beside(job, "lock")
}

/// The file beside the folder of a run that says how it has diverged.
fn note_file(job: &Job) -> PathBuf {
    beside(job, "diverged")
}

fn beside(job: &Job, ending: &str) -> PathBuf {
    let name = job.folder.file_name().unwrap_or_default().to_string_lossy();
    job.folder.with_file_name(format!(".{name}.{ending}"))
}

/// Removes those of these files that exist.
fn remove(files: &[PathBuf]) -> Result<()> {
    for path in files {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("remove", path)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a process that shares the study is training a run.
pub(super) fn is_claimed(job: &Job) -> Result<bool> {
    Lock::is_held(&lock_file(job), Links::Refuse)
}

/// Whether every rank sees a lock that rank 0 holds in the folder of the study, which is created if necessary.
///
/// # Errors
///
/// [`Error::Ranks`] if a rank sees another folder than rank 0, for example on the disk of its own machine.
fn locks_reach(out: &Path, ranks: &dyn Collective) -> Result<bool> {
    let (lock, seen) = (out.join(".ranks.lock"), out.join(".ranks"));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mark = format!("{} {}", std::process::id(), since.as_nanos());
    let begin = || {
        fs::create_dir_all(out).map_err(Error::io("create", out))?;
        if !ranks.leads() {
            return Ok(None);
        }
        let held = Lock::wait(&lock, Links::Refuse, None, || ())?;
        replace_own_file(&seen, |file| file.write_all(mark.as_bytes()))?;
        Ok(Some(held))
    };
    let held = ranks.together(begin())?;
    let mark = ranks.from_first(mark.as_bytes())?;
    let look = || match &held {
        Some(held) => Ok(held.missing().is_none()),
        None if read_own_text_if_there(&seen, Links::Refuse)?.is_none_or(|text| text.as_bytes() != mark) => {
            let problem = "this is another folder than that of rank 0: name one that all machines share with --out";
            Err(Error::file(out, problem))
        }
        None => Ok(Lock::take(&lock, Links::Refuse)?.is_none()),
    };
    let looked = ranks.together(look());
    if ranks.leads() {
        let _ = fs::remove_file(&seen);
    }
    Ok(!ranks.any(!looked?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_parts_are_all_of_the_list() {
        let job = |name: usize| Job {
            folder: format!("runs/{name}").into(),
            title: name.to_string(),
            options: run::RunOptions::new("case1").unwrap(),
        };
        let jobs: Vec<Job> = (0..7).map(job).collect();
        let titles = |rank| {
            let participant = Participant { part: Part::Fixed { rank, ranks: 3, lock: None }, warning: None };
            participant.part_of(&jobs).iter().map(|job| job.title.clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!([0, 1, 2].map(titles), ["0 3 6", "1 4", "2 5"]);
    }

    #[test]
    fn a_file_system_without_locks_is_not_shared() {
        let missing = std::io::Error::from(ErrorKind::Unsupported);
        let text = without_locks(&missing);
        assert!(text.contains("has no locks (unsupported)") && text.contains("--cases"), "{text}");
    }
}
