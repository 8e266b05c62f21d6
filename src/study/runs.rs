//! The runs of a study: what each is to be, and what there is of it already.

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
    /// Where the images are from.
    pub source: Source,
    /// What they are trained on; if not given, the best there is, or for a run that goes on the device it was begun on.
    pub device: Option<DeviceChoice>,
    /// The folder in which the fastest kernels are kept, if they are.
    pub cache: Option<PathBuf>,
    /// Checksums of the data as each seed has it, if it was read.
    checksums: BTreeMap<u64, String>,
}

/// The training of a network with one seed.
#[derive(Clone)]
pub struct Job {
    /// Its run folder.
    pub folder: PathBuf,
    /// Its name for people.
    pub title: String,
    /// What it is told.
    pub options: RunOptions,
}

/// What there is of a job.
pub enum JobState {
    /// There is no folder.
    Missing,
    /// Cut off before its first checkpoint.
    Unbegun,
    /// Some epochs are done.
    Unfinished(usize),
    /// It is trained to its end.
    Finished(Box<FinishedRun>),
}

/// A finished run.
pub struct FinishedRun {
    /// Its run folder.
    pub folder: PathBuf,
    /// What it was drawn by.
    pub seed: u64,
    /// What it was told.
    pub record: RunRecord,
    /// As many as were asked for, or fewer where patience ended it.
    pub epochs: Vec<EpochReport>,
    /// At the end, `[label][prediction]`.
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

    /// Seconds of training, without evaluation.
    pub fn seconds(&self) -> f64 {
        self.epochs.iter().map(|epoch| epoch.seconds).sum()
    }
}

impl Job {
    /// Passes over the training set.
    pub fn epochs(&self) -> usize {
        self.options.training.epochs
    }

    /// What it is drawn by.
    pub fn seed(&self) -> u64 {
        self.options.training.seed
    }

    /// Trains what `state` leaves to be done.
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

    /// What there is of it. Fails where that is damaged, or is another run; nothing is changed.
    pub fn examine(&self, common: &Common) -> Result<JobState> {
        let folder = &self.folder;
        self.look(common).map_err(|error| {
            Error::Run(format!("{error}\nto train this run anew, remove {} and call again", folder.display()))
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
                format!("a run with other options ({}); give those, or another folder", differences.join("; "));
            return Err(Error::file(folder, problem));
        }
        if let (Some(there), Some(here)) = (&record.checksum, common.checksums.get(&self.seed()))
            && there != here
        {
            let problem = format!("a run on other data: {} then, now {}", record.data, common.data_name());
            return Err(Error::file(folder, problem));
        }
        let epochs = run::read_epochs(folder)?;
        let done = epochs.len();
        if done > self.epochs() {
            let problem = format!("a run of {}, more than the {} asked for", counted(done, "epoch"), self.epochs());
            return Err(Error::file(folder, format!("{problem}; give {done} epochs, or another folder")));
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
                let problem = format!("a run of {} without the checkpoints to go on from", counted(done, "epoch"));
                Err(Error::file(folder, problem))
            }
        }
    }
}

/// As an evaluation has it, to the bit.
fn accuracy(confusion: &[Vec<u64>]) -> f64 {
    let right: u64 = confusion.iter().enumerate().map(|(class, row)| row[class]).sum();
    right as f64 / confusion.iter().flatten().sum::<u64>() as f64
}

impl Common {
    /// Where the images are from, as people name it: `builtin`, or the folder as it was given.
    pub fn data_name(&self) -> String {
        match &self.source {
            Source::Builtin { .. } => "builtin".to_string(),
            Source::Folder(folder) => folder.display().to_string(),
        }
    }

    /// Of data that is not read yet.
    pub fn new(source: Source, device: Option<DeviceChoice>) -> Common {
        Common { source, device, cache: None, checksums: BTreeMap::new() }
    }

    /// Reads the data, and remembers what each seed is to be trained on and judged by. Returns that of the first.
    pub(super) fn read(&mut self, validation: Validation, seeds: u64) -> Result<DataPair> {
        let whole = self.source.load()?;
        if matches!(validation, Validation::Test) {
            let checksum = whole.checksum();
            self.checksums = (1..=seeds).map(|seed| (seed, checksum.clone())).collect();
            return Ok(whole);
        }
        // Each seed holds out other images.
        for seed in 1..=seeds {
            self.checksums.insert(seed, validation.divide(whole.copy()?, seed)?.checksum());
        }
        validation.divide(whole, 1)
    }

    /// What every run of the study is told.
    pub(super) fn run_options(&self) -> Result<RunOptions> {
        Ok(RunOptions {
            data: self.source.clone(),
            // What a study makes may be published: there the data stays as it was given.
            data_name: Some(self.data_name()),
            device: self.device.clone().unwrap_or_default(),
            cache: self.cache.clone(),
            ..RunOptions::new("case1")?
        })
    }
}
