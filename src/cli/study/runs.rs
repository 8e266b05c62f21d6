//! The runs of a study: what each is to be, and what there is of it already.

use crate::cli::run_folder;
use crate::cli::train::{Options, Record};
use shadegrad::train::EpochReport;
use shadegrad::{Error, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Images a step.
pub const BATCH_SIZE: usize = 100;

/// What all runs have in common.
pub struct Common {
    /// As `--data` takes it.
    pub data: String,
    /// As `--device` takes it, if it was given.
    pub device: Option<String>,
    /// Of the data, if it was read.
    pub checksum: Option<String>,
}

/// A training, as `shadegrad train` does it.
#[derive(Clone)]
pub struct Job {
    /// Its run folder.
    pub folder: PathBuf,
    /// For people.
    pub title: String,
    pub model: String,
    /// `--loss`, where it is not the network's.
    pub loss: Option<&'static str>,
    pub epochs: usize,
    pub seed: u64,
    pub learning_rate: f32,
    pub momentum: f32,
    /// Training images that are held out; without them the test set judges.
    pub held_out: Option<usize>,
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
    /// As many as were asked for.
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
            format!("--batch-size={BATCH_SIZE}").into(),
            format!("--learning-rate={}", self.learning_rate).into(),
            format!("--momentum={}", self.momentum).into(),
            format!("--seed={}", self.seed).into(),
        ];
        arguments.extend(self.loss.map(|loss| format!("--loss={loss}").into()));
        arguments.extend(self.held_out.map(|images| format!("--validation={images}").into()));
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
        if !folder.exists() {
            return Ok(State::Missing);
        }
        let has_begun = run_folder::has_begun(folder);
        if !run_folder::has_record(folder) {
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
        if let (Some(there), Some(here)) = (&record.checksum, &common.checksum)
            && there != here
        {
            let problem = format!("a run on other data: {} then, now {}", record.data, common.data);
            return Err(Error::file(folder, problem));
        }
        let epochs = run_folder::read_epochs(folder)?;
        let done = epochs.len();
        if done > self.epochs {
            let problem = format!("a run of {done} epochs, more than the {} asked for", self.epochs);
            return Err(Error::file(folder, format!("{problem}; give --epochs {done}, or another --out")));
        }
        if done == self.epochs
            && let Some(confusion) = run_folder::read_confusion(folder)?
            && epochs.last().is_some_and(|last| accuracy(&confusion) == last.val_accuracy)
        {
            let run = Run { folder: folder.clone(), seed: self.seed, record, epochs, confusion };
            return Ok(State::Finished(Box::new(run)));
        }
        match has_begun {
            true => Ok(State::Unfinished(done)),
            false if done == 0 => Ok(State::Unbegun),
            false => Err(Error::file(folder, format!("a run of {done} epochs without the checkpoints to go on from"))),
        }
    }
}

/// As an evaluation has it, to the bit.
fn accuracy(confusion: &[Vec<u64>]) -> f64 {
    let right: u64 = confusion.iter().enumerate().map(|(class, row)| row[class]).sum();
    right as f64 / confusion.iter().flatten().sum::<u64>() as f64
}

impl Common {
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
