//! The folder of a run: `run.toml`, `tune.toml`, `metrics.jsonl`, `model.safetensors`, `confusion.csv`, `checkpoints/`.

use serde::{Serialize, de::DeserializeOwned};
use shadegrad::checkpoint::{Checkpoint, Checkpoints, Restored};
use shadegrad::evaluate::{Evaluation, confusion};
use shadegrad::files::{read_file, read_text, read_text_if_there, replace_file};
use shadegrad::network::{Network, Weights};
use shadegrad::train::{EpochReport, Progress, metrics};
use shadegrad::tune::Choices;
use shadegrad::{Error, Result};
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The name of the weights' file in a run folder.
pub const MODEL_FILE: &str = "model.safetensors";

/// The name of the file with the choice of kernels.
pub const TUNE_FILE: &str = "tune.toml";

const RECORD_FILE: &str = "run.toml";
const METRICS_FILE: &str = "metrics.jsonl";
const CONFUSION_FILE: &str = "confusion.csv";

const CHECKPOINTS: &str = "checkpoints";

/// Held while somebody trains; the system lets go of it when the program ends, however it ends.
const LOCK_FILE: &str = ".lock";

/// A run folder being written.
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
    checkpoints: Checkpoints,
    _lock: File,
}

impl RunFolder {
    /// Refuses a folder that is there already, before any work is done for it.
    pub fn check_free(out: Option<&Path>) -> Result<()> {
        match out {
            Some(path) if path.exists() => Err(taken(path)),
            _ => Ok(()),
        }
    }

    /// Makes a new folder: `out`, or `runs/<model>-<date>-<n>` with the first free n. A folder that is there already is
    /// never written into.
    pub fn create(out: Option<&Path>, model: &str) -> Result<RunFolder> {
        let path = match out {
            Some(path) => {
                if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                    fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
                }
                fs::create_dir(path).map_err(|source| match source.kind() {
                    ErrorKind::AlreadyExists => taken(path),
                    _ => Error::io("create", path)(source),
                })?;
                path.to_path_buf()
            }
            None => free_folder(Path::new("runs"), model)?,
        };
        RunFolder::open(path)
    }

    /// The folder of a run that is to go on, by its name or that of one of its checkpoints, and the checkpoint. Nothing
    /// of it changes before [`RunFolder::cut_back`].
    pub fn resume(run: &Path) -> Result<(RunFolder, Restored)> {
        let of_checkpoint = run.is_file();
        let path = if of_checkpoint { run.ancestors().nth(2).unwrap_or(run) } else { run };
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let record = path.join(RECORD_FILE);
        if !record.is_file() {
            fs::metadata(run).map_err(Error::io("read", run))?;
            let problem = "expected a run folder, or a checkpoint in the folder of its run: there is no run.toml";
            return Err(Error::file(path, problem));
        }
        let mut folder = RunFolder::open(path.to_path_buf())?;
        let restored = if of_checkpoint { folder.checkpoints.load(run)? } else { folder.checkpoints.last()? };
        Ok((folder, restored))
    }

    fn open(path: PathBuf) -> Result<RunFolder> {
        let open = |name: &str| {
            let file = path.join(name);
            File::options().create(true).append(true).open(&file).map_err(Error::io("open", &file))
        };
        let lock = lock(&path, "another process is training this run")?;
        let metrics = open(METRICS_FILE)?;
        let checkpoints = Checkpoints::new(path.join(CHECKPOINTS));
        Ok(RunFolder { path, metrics, checkpoints, _lock: lock })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `run.toml`
    pub fn write_record(&self, record: &impl Serialize) -> Result<()> {
        let path = self.path.join(RECORD_FILE);
        let text = toml::to_string(record).map_err(|error| Error::file(&path, error.to_string()))?;
        replace_file(&path, |file| file.write_all(text.as_bytes()))
    }

    /// What [`RunFolder::write_record`] has written.
    pub fn read_record<T: DeserializeOwned>(&self) -> Result<T> {
        read_record(&self.path)
    }

    /// `tune.toml`: which kernels the run was done with.
    pub fn write_choices(&self, choices: &Choices) -> Result<()> {
        choices.save(&self.path.join(TUNE_FILE))
    }

    /// A line of `metrics.jsonl`.
    pub fn write_metric(&mut self, line: &str) -> Result<()> {
        let line = format!("{line}\n");
        self.metrics.write_all(line.as_bytes()).map_err(Error::io("write", self.path.join(METRICS_FILE)))
    }

    /// Removes from `metrics.jsonl` what a run that goes on from here will write again, and what writes that were cut
    /// short have left.
    pub fn cut_back(&mut self, to: &Progress) -> Result<()> {
        let path = self.path.join(METRICS_FILE);
        let text = read_metrics(&path)?;
        self.metrics.set_len(metrics::until(&text, to).len() as u64).map_err(Error::io("cut", &path))?;
        for folder in [&self.path, &self.path.join(CHECKPOINTS)] {
            for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
                let path = entry.map_err(Error::io("read", folder))?.path();
                if path.extension().is_some_and(|extension| extension == "tmp") {
                    fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                }
            }
        }
        Ok(())
    }

    /// `model.safetensors`; the file of the former epoch stays until this one is whole.
    pub fn write_weights(&self, network: &Network, weights: &Weights) -> Result<()> {
        weights.save(network, &self.path.join(MODEL_FILE))
    }

    /// A file in `checkpoints/`, behind everything that it lets the run forget.
    pub fn write_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.metrics.sync_all().map_err(Error::io("write", self.path.join(METRICS_FILE)))?;
        self.checkpoints.save(checkpoint)
    }

    /// `confusion.csv`
    pub fn write_confusion(&self, evaluation: &Evaluation) -> Result<()> {
        let path = self.path.join(CONFUSION_FILE);
        fs::write(&path, confusion::to_csv(&evaluation.confusion)).map_err(Error::io("write", &path))
    }

    /// An error of the run, and how the run can go on all the same.
    pub fn explain(&self, error: Error) -> Error {
        match error {
            Error::NotFinite(problem) => {
                let weights = self.path.join(MODEL_FILE);
                Error::NotFinite(format!("{problem}\nthe last good weights are in {}", weights.display()))
            }
            error => {
                let run = self.path.display();
                Error::Run(format!("{error}\nthe last checkpoint is good: shadegrad train --resume {run}"))
            }
        }
    }
}

/// Keeps others out of a folder as long as the file is not dropped; fails with `busy` where somebody else is in it.
pub fn lock(folder: &Path, busy: &str) -> Result<File> {
    let path = folder.join(LOCK_FILE);
    let file = File::options().create(true).append(true).open(&path).map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::file(folder, busy)),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", path)(error)),
    }
}

/// `run.toml` of a run that nobody is to write.
pub fn read_record<T: DeserializeOwned>(run: &Path) -> Result<T> {
    let path = run.join(RECORD_FILE);
    let text = read_text(&path)?;
    toml::from_str(&text).map_err(|error| Error::file(&path, format!("not the record of a run: {error}")))
}

/// Whether there is a `run.toml`.
pub fn has_record(run: &Path) -> bool {
    run.join(RECORD_FILE).is_file()
}

/// The bytes of `metrics.jsonl`, of which the last line may have been cut short.
fn read_metrics(path: &Path) -> Result<Vec<u8>> {
    /// Bytes: a line for each of some forty million steps.
    const MOST: u64 = 4 << 30;
    read_file(path, MOST)
}

/// The epochs of `metrics.jsonl`.
pub fn read_epochs(run: &Path) -> Result<Vec<EpochReport>> {
    let path = run.join(METRICS_FILE);
    let text = read_metrics(&path)?;
    metrics::epochs(&text).map_err(|problem| Error::file(&path, problem))
}

/// `confusion.csv`, if the run has come so far.
pub fn read_confusion(run: &Path) -> Result<Option<Vec<Vec<u64>>>> {
    let path = run.join(CONFUSION_FILE);
    let Some(text) = read_text_if_there(&path)? else { return Ok(None) };
    confusion::from_csv(&text).map(Some).map_err(|problem| Error::file(&path, problem))
}

/// Whether the run has come to its first checkpoint. Without one there is nothing to go on from, and nothing to lose.
pub fn has_begun(run: &Path) -> bool {
    let is_checkpoint = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.path().extension().is_some_and(|extension| extension == "safetensors"))
    };
    fs::read_dir(run.join(CHECKPOINTS)).is_ok_and(|mut entries| entries.any(is_checkpoint))
}

/// Removes the folder of a run that was cut off before its first checkpoint. Nothing happens to one that somebody is
/// training, or that holds what no run writes.
pub fn discard(run: &Path) -> Result<()> {
    drop(lock(run, "another process is training this run")?);
    for entry in fs::read_dir(run).map_err(Error::io("read", run))? {
        let path = entry.map_err(Error::io("read", run))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ours = [LOCK_FILE, RECORD_FILE, TUNE_FILE, METRICS_FILE, MODEL_FILE, CHECKPOINTS];
        if has_begun(run) || !(ours.contains(&name) || name.ends_with(".tmp")) {
            return Err(Error::file(run, format!("expected a run folder, found {name} in it; move it away")));
        }
    }
    fs::remove_dir_all(run).map_err(Error::io("remove", run))
}

fn taken(path: &Path) -> Error {
    let problem = "there is something of this name already; runs are never overwritten, --resume continues one";
    Error::file(path, problem)
}

fn free_folder(runs: &Path, model: &str) -> Result<PathBuf> {
    fs::create_dir_all(runs).map_err(Error::io("create", runs))?;
    let date = jiff::Zoned::now().strftime("%Y-%m-%d").to_string();
    let mut number = 1;
    loop {
        let path = runs.join(format!("{model}-{date}-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(Error::io("create", &path)(error)),
        }
    }
}

/// Network and weights of a run folder, or of a weights file.
pub fn open_model(path: &Path) -> Result<(Network, Weights)> {
    Weights::open(&model_file(path))
}

/// The same with the network named, which a file of PyTorch does not hold.
pub fn open_model_as(path: &Path, model: &str) -> Result<(Network, Weights)> {
    let network = Network::open(model)?;
    let weights = Weights::open_as(&model_file(path), &network)?;
    Ok((network, weights))
}

fn model_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(MODEL_FILE) } else { path.to_path_buf() }
}
