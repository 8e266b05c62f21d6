//! The runs of a study: how each is trained, and how much of it is done.

use crate::data::{DataPair, Source};
use crate::error::{Error, Result};
use crate::machine::DeviceChoice;
use crate::run::{self, RunChanges, RunObserver, RunOptions, RunRecord, Validation, has_begun, has_record};
use crate::text::counted;
use crate::train::EpochReport;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What all runs have in common.
#[derive(Clone, Debug)]
pub struct Common {
    /// The source of the images.
    pub source: Source,
    /// The device for training. `None` for the best one or, for a run that is resumed, the device that it was started
    /// on.
    pub device: Option<DeviceChoice>,
    /// The folder of the tuner's cache, if there is one.
    pub cache: Option<PathBuf>,
    /// Checksums of the data for each seed, once it was read.
    checksums: BTreeMap<u64, String>,
}

/// The training of a network with one seed.
#[derive(Clone)]
pub struct Job {
    /// Its run folder.
    pub folder: PathBuf,
    /// Title in messages and reports.
    pub title: String,
    /// Its training options.
    pub options: RunOptions,
}

/// State of a job.
pub enum JobState {
    /// Its folder does not exist.
    Missing,
    /// It was stopped before its first checkpoint.
    Unbegun,
    /// Some epochs are done.
    Unfinished(usize),
    /// It has finished.
    Finished(Box<FinishedRun>),
}

/// A finished run.
pub struct FinishedRun {
    /// Its run folder.
    pub folder: PathBuf,
    /// Its seed.
    pub seed: u64,
    /// Its record.
    pub record: RunRecord,
    /// As many as its options ask for, or fewer if it ran out of patience.
    pub epochs: Vec<EpochReport>,
    /// Confusion matrix after the last epoch, `[label][prediction]`.
    pub confusion: Vec<Vec<u64>>,
}

impl FinishedRun {
    /// The last epoch.
    pub fn last(&self) -> &EpochReport {
        match self.epochs.last() {
            Some(epoch) => epoch,
            None => unreachable!("a finished run has an epoch"),
        }
    }

    /// Training time in seconds, without evaluation.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().map(|epoch| epoch.seconds).sum()
    }
}

impl Job {
    /// Number of epochs.
    pub fn epochs(&self) -> usize {
        self.options.training.epochs
    }

    /// Seed of the training.
    pub fn seed(&self) -> u64 {
        self.options.training.seed
    }

    /// Trains the rest of a job that is in this state.
    pub(super) async fn train(
        &self,
        state: &JobState,
        common: &Common,
        observer: &mut RunObserver<'_>,
    ) -> Result<run::Run> {
        match state {
            JobState::Finished(_) => unreachable!("nothing is left to be done"),
            JobState::Missing => {}
            JobState::Unbegun => run::discard(&self.folder)?,
            JobState::Unfinished(_) => {
                let changes = RunChanges {
                    epochs: Some(self.epochs()),
                    data: Some(common.source.clone()),
                    device: common.device.clone(),
                    cache: common.cache.clone(),
                    ..RunChanges::default()
                };
                return run::Run::resume(&self.folder, changes, observer).await;
            }
        }
        run::Run::start(self.options.clone(), observer).await
    }

    /// The state of the job. Fails if it is damaged or belongs to another run; nothing is changed.
    pub fn examine(&self, common: &Common) -> Result<JobState> {
        let folder = &self.folder;
        self.look(common).map_err(|error| {
            Error::Run(format!("{error}\nto train this run again, remove {} and repeat the command", folder.display()))
        })
    }

    fn look(&self, common: &Common) -> Result<JobState> {
        let folder = &self.folder;
        if !std::fs::exists(folder).map_err(Error::io("look for", folder))? {
            return Ok(JobState::Missing);
        }
        let has_begun = has_begun(folder)?;
        if !has_record(folder)? {
            return match has_begun {
                false => Ok(JobState::Unbegun),
                true => Err(Error::file(folder, "a run without its run.toml")),
            };
        }
        let record = RunRecord::read(folder)?;
        let differences = record.differences(&self.options)?;
        if !differences.is_empty() {
            let problem =
                format!("a run with other options ({}); use those options or another folder", differences.join("; "));
            return Err(Error::file(folder, problem));
        }
        if let (Some(there), Some(here)) = (&record.checksum, common.checksums.get(&self.seed()))
            && there != here
        {
            let problem = format!("a run on other data: {} there, {} here", record.data, common.data_name());
            return Err(Error::file(folder, problem));
        }
        let epochs = run::read_epochs(folder)?;
        let done = epochs.len();
        if done > self.epochs() {
            let problem = format!("a run of {}, more than the {} requested", counted(done, "epoch"), self.epochs());
            return Err(Error::file(folder, format!("{problem}; request {done} epochs or use another folder")));
        }
        if done == record.stopped_after().unwrap_or(self.epochs())
            && let Some(confusion) = run::read_confusion(folder)?
            && epochs.last().is_some_and(|last| accuracy(&confusion) == last.val_accuracy)
        {
            let run = FinishedRun { folder: folder.clone(), seed: self.seed(), record, epochs, confusion };
            return Ok(JobState::Finished(Box::new(run)));
        }
        match has_begun {
            true => Ok(JobState::Unfinished(done)),
            false if done == 0 => Ok(JobState::Unbegun),
            false => {
                let problem = format!("a run of {} without checkpoints to resume from", counted(done, "epoch"));
                Err(Error::file(folder, problem))
            }
        }
    }
}

/// Accuracy computed exactly as in an evaluation.
fn accuracy(confusion: &[Vec<u64>]) -> f64 {
    let right: u64 = confusion.iter().enumerate().map(|(class, row)| row[class]).sum();
    right as f64 / confusion.iter().flatten().sum::<u64>() as f64
}

impl Common {
    /// The source of the images as the user named it: `builtin`, or the folder.
    pub fn data_name(&self) -> String {
        match &self.source {
            Source::Builtin { .. } => "builtin".to_string(),
            Source::Folder(folder) => folder.display().to_string(),
        }
    }

    /// For data that has not been read yet.
    pub fn new(source: Source, device: Option<DeviceChoice>) -> Common {
        Common { source, device, cache: None, checksums: BTreeMap::new() }
    }

    /// Reads the data, and records the checksums for each seed. Returns the data for the first seed.
    pub(super) fn read(&mut self, validation: Validation, seeds: u64) -> Result<DataPair> {
        let whole = self.source.load()?;
        if matches!(validation, Validation::Test) {
            let checksum = whole.checksum();
            self.checksums = (1..=seeds).map(|seed| (seed, checksum.clone())).collect();
            return Ok(whole);
        }
        // Each seed holds out different images.
        for seed in 1..=seeds {
            self.checksums.insert(seed, validation.divide(whole.copy()?, seed)?.checksum());
        }
        validation.divide(whole, 1)
    }

    /// Run options that all runs of the study share.
    pub(super) fn run_options(&self) -> Result<RunOptions> {
        Ok(RunOptions {
            data: self.source.clone(),
            // A study may be published, so the data is named as the user gave it.
            data_name: Some(self.data_name()),
            device: self.device.clone().unwrap_or_default(),
            cache: self.cache.clone(),
            ..RunOptions::new("case1")?
        })
    }
}
