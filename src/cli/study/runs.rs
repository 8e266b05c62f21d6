//! The runs of a study: what each is to be, and what there is of it already.

use crate::cli::output::counted;
use crate::cli::run_folder;
use crate::cli::train::{Options, Record, Validation};
use shadegrad::data::{DataPair, Source};
use shadegrad::train::EpochReport;
use shadegrad::{Error, Result};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What all runs have in common.
pub struct Common {
    /// As `--data` takes it.
    pub data: String,
    /// As `--device` takes it, if it was given.
    pub device: Option<String>,
    /// Of the data as each seed has it, if it was read.
    checksums: BTreeMap<u64, String>,
}

/// A training, as `shadegrad train` does it.
#[derive(Clone)]
pub struct Job {
    /// Its run folder.
    pub folder: PathBuf,
    /// For people.
    pub title: String,
    pub model: String,
    pub epochs: usize,
    pub seed: u64,
    /// What else `train` is told, as its arguments.
    pub settings: Vec<OsString>,
}

/// What there is of a job.
pub enum State {
    Missing,
    /// Cut off before its first checkpoint.
    Unbegun,
    /// Some epochs are done.
    Unfinished(usize),
    Finished(Box<Run>),
}

/// A finished run.
pub struct Run {
    pub folder: PathBuf,
    pub seed: u64,
    pub record: Record,
    /// As many as were asked for, or fewer where patience ended it.
    pub epochs: Vec<EpochReport>,
    /// At the end, `[label][prediction]`.
    pub confusion: Vec<Vec<u64>>,
}

impl Run {
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
    /// The arguments of `shadegrad train` that begin it.
    pub fn arguments(&self, common: &Common) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec![
            format!("--model={}", self.model).into(),
            format!("--epochs={}", self.epochs).into(),
            format!("--seed={}", self.seed).into(),
        ];
        arguments.extend_from_slice(&self.settings);
        arguments.push(joined("--out=", &self.folder));
        arguments.extend(common.places());
        arguments
    }

    /// Those that go on with it.
    fn resuming(&self, common: &Common) -> Vec<OsString> {
        let mut arguments = vec![joined("--resume=", &self.folder), format!("--epochs={}", self.epochs).into()];
        arguments.extend(common.places());
        arguments
    }

    /// Trains what `state` leaves to be done.
    pub fn train(&self, state: &State, common: &Common) -> Result<crate::cli::train::Ended> {
        let arguments = match state {
            State::Finished(_) => unreachable!("nothing is left to be done"),
            State::Missing => self.arguments(common),
            State::Unbegun => {
                run_folder::discard(&self.folder)?;
                self.arguments(common)
            }
            State::Unfinished(_) => self.resuming(common),
        };
        crate::cli::train::run_to_end(&Options::parse(&arguments, &self.title)?)
    }

    /// What there is of it. Fails where that is damaged, or is another run; nothing is changed.
    pub fn examine(&self, common: &Common) -> Result<State> {
        let folder = &self.folder;
        self.look(common).map_err(|error| {
            Error::Run(format!("{error}\nto train this run anew, remove {} and call again", folder.display()))
        })
    }

    fn look(&self, common: &Common) -> Result<State> {
        let folder = &self.folder;
        if !std::fs::exists(folder).map_err(Error::io("look for", folder))? {
            return Ok(State::Missing);
        }
        let has_begun = run_folder::has_begun(folder)?;
        if !run_folder::has_record(folder)? {
            return match has_begun {
                false => Ok(State::Unbegun),
                true => Err(Error::file(folder, "a run without its run.toml")),
            };
        }
        let record: Record = run_folder::read_record(folder)?;
        let differences = record.differences(&Options::parse(&self.arguments(common), &self.title)?)?;
        if !differences.is_empty() {
            let problem =
                format!("a run with other options ({}); give those, or another --out", differences.join("; "));
            return Err(Error::file(folder, problem));
        }
        if let (Some(there), Some(here)) = (&record.checksum, common.checksums.get(&self.seed))
            && there != here
        {
            let problem = format!("a run on other data: {} then, now {}", record.data, common.data);
            return Err(Error::file(folder, problem));
        }
        let epochs = run_folder::read_epochs(folder)?;
        let done = epochs.len();
        if done > self.epochs {
            let problem = format!("a run of {}, more than the {} asked for", counted(done, "epoch"), self.epochs);
            return Err(Error::file(folder, format!("{problem}; give --epochs {done}, or another --out")));
        }
        if done == record.stopped_after().unwrap_or(self.epochs)
            && let Some(confusion) = run_folder::read_confusion(folder)?
            && epochs.last().is_some_and(|last| accuracy(&confusion) == last.val_accuracy)
        {
            let run = Run { folder: folder.clone(), seed: self.seed, record, epochs, confusion };
            return Ok(State::Finished(Box::new(run)));
        }
        match has_begun {
            true => Ok(State::Unfinished(done)),
            false if done == 0 => Ok(State::Unbegun),
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
    /// Of data that is not read yet.
    pub fn new(data: String, device: Option<String>) -> Common {
        Common { data, device, checksums: BTreeMap::new() }
    }

    /// Reads the data, and remembers what each seed is to be trained on and judged by. Returns that of the first.
    pub fn read(&mut self, source: &Source, validation: Validation, seeds: u64) -> Result<DataPair> {
        let whole = source.load()?;
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

    fn places(&self) -> Vec<OsString> {
        let mut places = vec![format!("--data={}", self.data).into()];
        places.extend(self.device.as_ref().map(|device| format!("--device={device}").into()));
        places
    }
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut joined = OsString::from(option);
    joined.push(path);
    joined
}
