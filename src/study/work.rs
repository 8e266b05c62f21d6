//! Trains the missing runs of a list of jobs.

use super::event::{StudyEvent, StudyObserver};
use super::participant::{Claim, Participant, is_claimed};
use super::runs::{Common, Job, JobState};
use crate::error::{Error, Result};
use crate::ranks::Collective;
use crate::run::{RunEnd, RunEvent};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Pause before a process that found no free run looks again.
const PAUSE: Duration = Duration::from_secs(1);

/// The state of each job; `None` for one that another process is training. The first damaged one is returned as an
/// error, before any training.
pub(super) fn examine<'j>(jobs: impl IntoIterator<Item = &'j Job>, common: &Common) -> Result<Vec<Option<JobState>>> {
    let examine = |job: &Job| match job.examine(common) {
        // The files of such a run may contradict each other for a moment.
        Err(_) if is_claimed(job)? => Ok(None),
        Err(_) => job.examine(common).map(Some),
        state => state.map(Some),
    };
    jobs.into_iter().map(examine).collect()
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
///
/// Where processes share the study, this takes one free run after the other, waits while others train the last ones,
/// and ends when nothing is left that it could try.
pub(super) async fn train(
    jobs: &[Job],
    participant: &Participant,
    common: &Common,
    observer: &mut StudyObserver<'_>,
) -> Trained {
    let mut trained = Trained::default();
    trained.error = train_each(jobs, participant, common, observer, &mut trained).await.err();
    trained
}

async fn train_each(
    jobs: &[Job],
    participant: &Participant,
    common: &Common,
    observer: &mut StudyObserver<'_>,
    trained: &mut Trained,
) -> Result<()> {
    let mut queue = Queue::new(participant.part_of(jobs), participant, common)?;
    if queue.done() > 0 {
        let _ = observer(StudyEvent::Kept { done: queue.done(), of: queue.jobs.len() })?;
    }
    let mut waits = 0;
    loop {
        let (job, state, claim) = match queue.next(observer, trained)? {
            Next::Free(job, state, claim) => (job, state, claim),
            Next::Busy(job) => {
                // A process that looks for a run holds it for a moment, so finding none once means little.
                waits += 1;
                if waits > 1 && observer(StudyEvent::Waits { job })?.is_break() {
                    trained.is_interrupted = true;
                    return Ok(());
                }
                std::thread::sleep(PAUSE);
                continue;
            }
            Next::Nothing => return Ok(()),
        };
        waits = 0;
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
                participant.note_diverged(job, problem)?;
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
        drop(claim);
        queue.finish(job);
        let _ = observer(StudyEvent::Finished { job, run: &run, done: queue.done(), of: queue.jobs.len() })?;
    }
}

/// The jobs of a process, and what it knows of them.
struct Queue<'a> {
    jobs: Vec<&'a Job>,
    known: Vec<Known>,
    participant: &'a Participant,
    common: &'a Common,
}

#[derive(Clone, Copy, PartialEq)]
enum Known {
    /// Not finished when it was last looked at.
    Open,
    /// This process has tried it, or another process has seen it diverge. It is not tried again, but another process may
    /// finish it.
    Tried,
    Finished,
}

/// What a process can do next.
enum Next<'a> {
    /// Train a job that is in this state.
    Free(&'a Job, JobState, Claim),
    /// Wait for jobs that other processes are training, of which this is the first.
    Busy(&'a Job),
    /// Nothing more.
    Nothing,
}

impl<'a> Queue<'a> {
    fn new(jobs: Vec<&'a Job>, participant: &'a Participant, common: &'a Common) -> Result<Queue<'a>> {
        let is_finished = |state: &Option<JobState>| matches!(state, Some(JobState::Finished(_)));
        let states = examine(jobs.iter().copied(), common)?;
        let known = states.iter().map(|state| if is_finished(state) { Known::Finished } else { Known::Open }).collect();
        Ok(Queue { jobs, known, participant, common })
    }

    /// Number of finished jobs.
    fn done(&self) -> usize {
        self.known.iter().filter(|known| **known == Known::Finished).count()
    }

    fn finish(&mut self, job: &Job) {
        if let Some(index) = self.jobs.iter().position(|other| other.folder == job.folder) {
            self.known[index] = Known::Finished;
        }
    }

    /// The first job that is free and was not tried yet. Tells the observer of jobs that other processes have finished
    /// meanwhile, or have seen diverge.
    fn next(&mut self, observer: &mut StudyObserver<'_>, trained: &mut Trained) -> Result<Next<'a>> {
        let mut busy = None;
        for index in 0..self.jobs.len() {
            let job = self.jobs[index];
            match self.known[index] {
                Known::Finished => continue,
                // Nobody else can have finished it.
                Known::Tried if !self.participant.shares() => continue,
                _ => {}
            }
            let Some(claim) = self.participant.claim(job)? else {
                busy = busy.or(Some(job));
                continue;
            };
            let state = job.examine(self.common)?;
            if let JobState::Finished(run) = state {
                self.known[index] = Known::Finished;
                trained.failed.retain(|(folder, _)| *folder != job.folder);
                let (done, of) = (self.done(), self.jobs.len());
                let _ = observer(StudyEvent::Elsewhere { job, run: &run, done, of })?;
            } else if self.known[index] == Known::Open {
                self.known[index] = Known::Tried;
                if let Some(problem) = self.participant.diverged(job)? {
                    let _ = observer(StudyEvent::Diverged { job, problem: &problem })?;
                    trained.diverged.push(job.folder.clone());
                } else if matches!(state, JobState::Missing) && !self.participant.is_missing(job)? {
                    self.known[index] = Known::Open;
                    busy = busy.or(Some(job));
                } else {
                    return Ok(Next::Free(job, state, claim));
                }
            }
        }
        Ok(busy.map_or(Next::Nothing, Next::Busy))
    }
}

/// What a rank tells the others of its runs, by their position in the list of all.
#[derive(Serialize, Deserialize)]
struct Message {
    is_interrupted: bool,
    diverged: Vec<usize>,
    failed: Vec<(usize, String)>,
    error: Option<String>,
}

impl Trained {
    /// The results of all ranks together, on every rank.
    pub(super) fn of_all(self, jobs: &[Job], common: &Common, ranks: &dyn Collective) -> Result<Trained> {
        if ranks.is_alone() {
            return Ok(self);
        }
        let index = |folder: &PathBuf| jobs.iter().position(|job| job.folder == *folder);
        let own = Message {
            is_interrupted: self.is_interrupted,
            diverged: self.diverged.iter().filter_map(index).collect(),
            failed: self.failed.iter().filter_map(|(folder, text)| Some((index(folder)?, text.clone()))).collect(),
            error: self.error.as_ref().map(ToString::to_string),
        };
        let unreadable = |error: serde_json::Error| Error::Run(format!("a message between ranks: {error}"));
        let own = serde_json::to_vec(&own).map_err(unreadable)?;
        let mut all = Trained { error: self.error, ..Trained::default() };
        for (rank, message) in ranks.gather(&own)?.iter().enumerate() {
            let message: Message = serde_json::from_slice(message).map_err(unreadable)?;
            all.is_interrupted |= message.is_interrupted;
            for job in message.diverged.iter().filter_map(|index| jobs.get(*index)) {
                if !all.diverged.contains(&job.folder) {
                    all.diverged.push(job.folder.clone());
                }
            }
            for (index, text) in message.failed {
                let Some(job) = jobs.get(index) else { continue };
                let is_known = all.failed.iter().any(|(folder, _)| *folder == job.folder);
                // Another rank may have finished it after this one had failed.
                if !is_known && !matches!(job.examine(common), Ok(JobState::Finished(_))) {
                    all.failed.push((job.folder.clone(), text));
                }
            }
            if all.error.is_none() {
                all.error = message.error.map(|text| Error::Run(format!("rank {rank}: {text}")));
            }
        }
        Ok(all)
    }
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
