//! A study: networks trained with several seeds, and a report on them. Either the paper's six networks, beside its table, or
//! any networks by their own recipes.
//!
//! Each training is a [`Run`](crate::run::Run) in a folder of its own. What is finished is kept and what was interrupted
//! goes on, so a study can be ended and begun again at any time; the report tells of what is there.

mod choice;
mod choose;
mod csv;
mod curves;
mod entry;
mod event;
mod figures;
mod heat;
mod marker;
mod models;
mod page;
mod paper;
mod pictures;
mod plan;
mod report;
mod runs;
mod statistics;
mod table;
mod work;

pub use choice::{Choice, Reached, Tried};
pub use choose::{HELD_OUT, Point};
pub use event::{StudyEvent, StudyObserver};
pub use paper::{ANN_EPOCHS, EPOCHS};
pub use plan::{Cases, DESCENT, Descent, Subject};
pub use runs::{Common, FinishedRun, Job, JobState};
pub use work::{Trained, duration};

use crate::data::{DataPair, Share};
use crate::error::{Error, Result};
use crate::lock::Lock;
use crate::machine::Device;
use crate::run::{self, Validation};
use crate::text::counted;
use crate::train::ScheduleKind;
use entry::Entry;
use report::Frame;
use std::path::PathBuf;

/// Networks, each trained with several seeds.
#[derive(Clone, Debug)]
pub struct Study {
    /// Networks that are trained.
    pub subjects: Subjects,
    /// How often each is trained: with the seeds from 1 to this.
    pub seeds: u64,
    /// The folder of runs and report.
    pub out: PathBuf,
    /// What all runs have in common.
    pub common: Common,
}

/// The networks of a study.
#[derive(Clone, Debug)]
pub enum Subjects {
    /// Those of the paper.
    Paper {
        /// Its own networks.
        cases: Vec<Subject>,
        /// The systems that it compares itself with.
        comparisons: Vec<Subject>,
        /// How they are trained.
        descent: Descent,
    },
    /// Any networks, by their own recipes.
    Models(Vec<Subject>),
}

/// What a report says beside what the runs say.
pub struct ReportOptions {
    /// The command that makes the runs and the report.
    pub command: String,
    /// For each network the command that makes its first run alone.
    pub train_commands: Vec<String>,
    /// A device to find the digits with that each network is worst at, if they are to be drawn. They are images of the data
    /// set.
    pub pictures: Option<Device>,
}

impl Subjects {
    /// The paper's networks of these numbers; with `ann_epochs` also the systems that it compares itself with, of which the
    /// feed-forward network is trained for so many epochs.
    ///
    /// # Errors
    ///
    /// Those of the options: an epoch, a rate or a momentum outside its range.
    pub fn paper(cases: &Cases, epochs: usize, ann_epochs: Option<usize>, descent: Descent) -> Result<Subjects> {
        let comparisons = ann_epochs.map(|ann_epochs| plan::comparisons(epochs, ann_epochs, descent)).transpose()?;
        let cases = plan::cases(&cases.0, epochs, descent)?;
        Ok(Subjects::Paper { cases, comparisons: comparisons.unwrap_or_default(), descent })
    }

    /// These presets and network files, each by its own recipe; `epochs` wins over what recipes say.
    ///
    /// # Errors
    ///
    /// Those of the networks and their recipes, and where two would have one name.
    pub fn models(models: &[String], epochs: Option<usize>, validation: Validation) -> Result<Subjects> {
        models::subjects(models, epochs, validation).map(Subjects::Models)
    }

    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = &Subject> {
        let (first, second) = match self {
            Subjects::Paper { cases, comparisons, .. } => (cases, comparisons.as_slice()),
            Subjects::Models(models) => (models, [].as_slice()),
        };
        first.iter().chain(second)
    }

    fn validation(&self) -> Validation {
        self.all().next().map_or(Validation::Test, |subject| subject.validation)
    }
}

impl Study {
    /// Every network with one seed before any with the next, so that a study that is ended early has something of each.
    ///
    /// # Errors
    ///
    /// An option outside its range.
    pub fn jobs(&self) -> Result<Vec<Job>> {
        let of_subject = |subject: &Subject| subject.jobs(self.seeds, &self.out, &self.common);
        let mut jobs: Vec<Job> = self.subjects.all().map(of_subject).collect::<Result<Vec<_>>>()?.concat();
        jobs.sort_by_key(Job::seed);
        Ok(jobs)
    }

    /// Reads the data, and looks at what there is of the runs.
    ///
    /// # Errors
    ///
    /// Those of the data, and the first run that is damaged or another; nothing is changed.
    pub fn prepare(&mut self) -> Result<DataPair> {
        let jobs = self.jobs()?;
        work::examine(&jobs, &self.common)?;
        let data = self.common.read(self.subjects.validation(), self.seeds)?;
        work::examine(&jobs, &self.common)?;
        Ok(data)
    }

    /// Makes the folder of the study, and keeps others from training in it as long as the lock is not dropped. The text
    /// says that they cannot be kept out, where the file system has no locks.
    ///
    /// # Errors
    ///
    /// [`Error::File`] where another process is at work.
    pub fn enter(&self) -> Result<(Lock, Option<String>)> {
        std::fs::create_dir_all(&self.out).map_err(Error::io("create", &self.out))?;
        let busy = "another process is at work in this study; a report can be written meanwhile";
        let lock = run::lock(&self.out, busy)?;
        let warning = run::lock_warning(&self.out, &lock);
        Ok((lock, warning))
    }

    /// Trains what is missing.
    ///
    /// # Errors
    ///
    /// An option outside its range. What goes wrong with runs is in [`Trained`].
    pub async fn train(&self, observer: &mut StudyObserver<'_>) -> Result<Trained> {
        Ok(work::train(&self.jobs()?, &self.common, observer).await)
    }

    /// The grid of learning rates and momenta, for the first network, with the data to try it on.
    ///
    /// # Errors
    ///
    /// As with [`Study::prepare`].
    pub fn prepare_choice(&mut self, held_out: usize) -> Result<(Vec<Point>, DataPair)> {
        let schedule = match &self.subjects {
            Subjects::Paper { descent, .. } => descent.schedule,
            Subjects::Models(_) => ScheduleKind::Constant,
        };
        let Some(subject) = self.subjects.all().next() else {
            return Err(Error::Usage("expected a network to choose for, got none".into()));
        };
        let grid = choose::grid(subject, schedule, held_out, &self.out, &self.common)?;
        let data = self.common.read(Validation::HeldOut(Share::Count(held_out)), choose::SEED)?;
        work::examine(grid.iter().map(|point| &point.job), &self.common)?;
        Ok((grid, data))
    }

    /// Trains every point of a grid, and chooses the best; nothing, if the observer has ended it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] where no point kept the loss finite, and whatever goes wrong with a run.
    pub async fn choose(
        &self,
        grid: &[Point],
        held_out: usize,
        observer: &mut StudyObserver<'_>,
    ) -> Result<Option<Choice>> {
        choose::choose(grid, held_out, &self.common, &self.out, observer).await
    }

    /// Writes the report, and returns the most important of it.
    ///
    /// # Errors
    ///
    /// [`Error::File`] where no run is finished, or where runs are on different data.
    pub fn report(&mut self, trained: &Trained, options: ReportOptions) -> Result<String> {
        let ReportOptions { command, train_commands, pictures } = options;
        let pictures = match pictures {
            // What is drawn must be what was evaluated.
            Some(device) => Some((device, self.common.read(self.subjects.validation(), self.seeds)?.test)),
            None => None,
        };
        let frame = Frame { out: &self.out, command, pictures };
        let entries = |subjects: &[Subject]| -> Result<Vec<Entry>> {
            subjects.iter().map(|subject| self.entry(subject, trained)).collect()
        };
        match &self.subjects {
            Subjects::Paper { cases, comparisons, descent } => {
                let train_command = train_commands.into_iter().next().unwrap_or_default();
                let (cases, comparisons) = (entries(cases)?, entries(comparisons)?);
                let (descent, choice) = (*descent, Choice::read(&self.out)?);
                report::paper::Report { frame, cases, comparisons, descent, choice, train_command }.write()
            }
            Subjects::Models(models) => {
                report::models::Report { frame, models: entries(models)?, commands: train_commands }.write()
            }
        }
    }

    /// A network with its finished runs.
    fn entry(&self, subject: &Subject, trained: &Trained) -> Result<Entry> {
        let (mut runs, mut missing) = (Vec::new(), Vec::new());
        for job in subject.jobs(self.seeds, &self.out, &self.common)? {
            let what = match job.examine(&self.common)? {
                JobState::Finished(run) => {
                    runs.push(*run);
                    continue;
                }
                JobState::Unfinished(done) if trained.diverged.contains(&job.folder) => {
                    format!("the loss or a weight was not finite in epoch {}", done + 1)
                }
                JobState::Unfinished(done) => format!("{done} of {}", counted(job.epochs(), "epoch")),
                JobState::Missing | JobState::Unbegun => "not begun".to_string(),
            };
            let failed = trained.failed.iter().find(|(folder, _)| *folder == job.folder);
            let why = failed.map_or_else(String::new, |(_, problem)| format!(", then it failed: {problem}"));
            missing.push(format!("seed {}: {what}{why}", job.seed()));
        }
        Ok(Entry { subject: subject.clone(), runs, missing })
    }
}
