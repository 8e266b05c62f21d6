//! Studies: networks trained with several seeds, and a report on them. A study covers either the paper's six networks,
//! compared with its table, or any networks with their own recipes.
//!
//! Each training is a [`Run`](crate::run::Run) in a folder of its own. Finished runs are kept and interrupted ones are
//! resumed, so a study can be stopped and started again at any time; the report covers the runs that are finished.

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
mod participant;
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
pub use participant::{Last, Participant};
pub use plan::{Cases, DESCENT, Descent, Subject};
pub use runs::{Common, FinishedRun, Job, JobState};
pub use work::{Trained, duration};

use crate::data::{DataPair, Share};
use crate::error::{Error, Result};
use crate::machine::Device;
use crate::ranks::Collective;
use crate::run::Validation;
use crate::text::counted;
use crate::train::ScheduleKind;
use entry::Entry;
use report::Frame;
use std::path::PathBuf;

/// Networks, each trained with several seeds.
#[derive(Clone, Debug)]
pub struct Study {
    /// The networks.
    pub subjects: Subjects,
    /// Number of trainings of each network, with the seeds from 1 to this number.
    pub seeds: u64,
    /// The folder of the runs and the report.
    pub out: PathBuf,
    /// What all runs have in common.
    pub common: Common,
}

/// The networks of a study.
#[derive(Clone, Debug)]
pub enum Subjects {
    /// The networks of the paper.
    Paper {
        /// The paper's own networks.
        cases: Vec<Subject>,
        /// The systems that the paper compares its networks with.
        comparisons: Vec<Subject>,
        /// How they are trained.
        descent: Descent,
    },
    /// Any networks, with their own recipes.
    Models(Vec<Subject>),
}

/// Contents of a report that do not come from the runs.
pub struct ReportOptions {
    /// The command that makes the runs and the report.
    pub command: String,
    /// For each network, the command that makes only its first run.
    pub train_commands: Vec<String>,
    /// A device for finding the digits with the highest loss, if these are to be shown. They are images from the data
    /// set.
    pub pictures: Option<Device>,
}

impl Subjects {
    /// The paper's networks with these numbers. With `ann_epochs`, also the systems that it compares them with, where
    /// the feed-forward network is trained for this many epochs.
    ///
    /// # Errors
    ///
    /// Those of the options: a number of epochs, a learning rate or a momentum that is out of range.
    pub fn paper(cases: &Cases, epochs: usize, ann_epochs: Option<usize>, descent: Descent) -> Result<Subjects> {
        let comparisons = ann_epochs.map(|ann_epochs| plan::comparisons(epochs, ann_epochs, descent)).transpose()?;
        let cases = plan::cases(&cases.0, epochs, descent)?;
        Ok(Subjects::Paper { cases, comparisons: comparisons.unwrap_or_default(), descent })
    }

    /// These presets and network files, each with its own recipe; `epochs` overrides the recipes.
    ///
    /// # Errors
    ///
    /// Those of the networks and their recipes, and an error if two have the same name.
    pub fn models(models: &[String], epochs: Option<usize>, validation: Validation) -> Result<Subjects> {
        models::subjects(models, epochs, validation).map(Subjects::Models)
    }

    /// All networks.
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
    /// All networks with one seed before any with the next, so that a study that is stopped early has some runs of
    /// each.
    ///
    /// # Errors
    ///
    /// An option that is out of range.
    pub fn jobs(&self) -> Result<Vec<Job>> {
        let of_subject = |subject: &Subject| subject.jobs(self.seeds, &self.out, &self.common);
        let mut jobs: Vec<Job> = self.subjects.all().map(of_subject).collect::<Result<Vec<_>>>()?.concat();
        jobs.sort_by_key(Job::seed);
        Ok(jobs)
    }

    /// Reads the data, and checks the existing runs.
    ///
    /// # Errors
    ///
    /// Those of the data, and an error for the first run that is damaged or does not match; nothing is changed.
    pub fn prepare(&mut self) -> Result<DataPair> {
        let jobs = self.jobs()?;
        work::examine(&jobs, &self.common)?;
        let data = self.common.read(self.subjects.validation(), self.seeds)?;
        work::examine(&jobs, &self.common)?;
        Ok(data)
    }

    /// Creates the folder of the study, and keeps other processes from training in it.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if another process is training in the folder.
    pub fn enter(&self) -> Result<Participant> {
        Participant::alone(&self.out)
    }

    /// Creates the folder of the study if necessary, and takes part in it together with other processes that call this,
    /// on this machine or on others that have the folder too.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if a process that has called [`Study::enter`] is training in the folder, or if the file system
    /// has no locks.
    pub fn share(&self) -> Result<Participant> {
        Participant::sharing(&self.out, &self.jobs()?)
    }

    /// Like [`Study::share`], for ranks that are started together: every rank must call this. If they do not see each
    /// other's locks, each gets a fixed part of the runs.
    ///
    /// # Errors
    ///
    /// Those of [`Study::enter`] and [`Study::share`], and [`Error::Ranks`] if the ranks do not see the same folder.
    pub fn enter_as_rank(&self, ranks: &dyn Collective) -> Result<Participant> {
        Participant::rank(&self.out, &self.jobs()?, ranks)
    }

    /// Trains the missing runs that are this participant's to train.
    ///
    /// # Errors
    ///
    /// An option that is out of range. Errors of runs are in [`Trained`].
    pub async fn train(&self, participant: &Participant, observer: &mut StudyObserver<'_>) -> Result<Trained> {
        Ok(work::train(&self.jobs()?, participant, &self.common, observer).await)
    }

    /// What all ranks have trained, on every rank. Every rank must call this.
    ///
    /// # Errors
    ///
    /// Those of [`Collective::gather`].
    pub fn gather(&self, trained: Trained, ranks: &dyn Collective) -> Result<Trained> {
        trained.of_all(&self.jobs()?, &self.common, ranks)
    }

    /// The grid of learning rates and momenta for the first network, with the data to try it on.
    ///
    /// # Errors
    ///
    /// Those of [`Study::prepare`].
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

    /// Trains every point of a grid, and chooses the best; `None` if the observer has ended it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] if every point diverged, and any error of a run.
    pub async fn choose(
        &self,
        grid: &[Point],
        held_out: usize,
        observer: &mut StudyObserver<'_>,
    ) -> Result<Option<Choice>> {
        choose::choose(grid, held_out, &self.common, &self.out, observer).await
    }

    /// Writes the report, and returns a summary.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if no run is finished, or if runs used different data.
    pub fn report(&mut self, trained: &Trained, options: ReportOptions) -> Result<String> {
        let ReportOptions { command, train_commands, pictures } = options;
        let pictures = match pictures {
            // The images drawn must be those that were evaluated.
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
                JobState::Missing | JobState::Unbegun => "not started".to_string(),
            };
            let failed = trained.failed.iter().find(|(folder, _)| *folder == job.folder);
            let why = failed.map_or_else(String::new, |(_, problem)| format!(", then failed: {problem}"));
            missing.push(format!("seed {}: {what}{why}", job.seed()));
        }
        Ok(Entry { subject: subject.clone(), runs, missing })
    }
}
