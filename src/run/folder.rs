//! The folder of a run: `run.toml`, `tune.toml`, `metrics.jsonl`, `model.safetensors`, `confusion.csv`, `checkpoints/`.

use super::{RunRecord, metrics};
use crate::error::{Error, Result};
use crate::evaluate::{Evaluation, confusion};
use crate::files::{
    Links, check_own_file, is_own_temporary, open_own_file, read_own_file, read_own_text_if_there, replace_own_file,
};
use crate::lock::Lock;
use crate::network::{Network, Weights};
use crate::train::{Checkpoint, Checkpoints, EpochReport, Progress, Restored};
use crate::tune::KernelChoices;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The name of the weights file in a run folder.
const MODEL_FILE: &str = "model.safetensors";

/// The name of the file that records the chosen kernels.
pub(super) const TUNE_FILE: &str = "tune.toml";

pub(super) const RECORD_FILE: &str = "run.toml";
const METRICS_FILE: &str = "metrics.jsonl";
const CONFUSION_FILE: &str = "confusion.csv";

const CHECKPOINTS: &str = "checkpoints";

/// Locked while a process trains the run; the operating system releases the lock when the process ends, however it
/// ends.
const LOCK_FILE: &str = ".lock";

/// The folder of a run that is being written.
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
    checkpoints: Checkpoints,
    lock: Lock,
}

impl RunFolder {
    /// Refuses an output folder that already exists, before any work is done.
    pub fn check_free(out: Option<&Path>) -> Result<()> {
        match out {
            // If its existence cannot be determined, creating it fails later with the system's reason.
            Some(path) if path.exists() => Err(taken(path)),
            _ => Ok(()),
        }
    }

    /// Creates a new folder: `out`, or `runs/<model>-<date>-<n>` with the first free n. An existing folder is never
    /// written to.
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
        RunFolder::open(path.clone()).inspect_err(|_| {
            // Leave no empty run folder behind.
            for name in [METRICS_FILE, LOCK_FILE] {
                let _ = fs::remove_file(path.join(name));
            }
            let _ = fs::remove_dir(path);
        })
    }

    /// Removes the folder of a run that failed before its first checkpoint: there is nothing to resume from.
    pub fn abandon(self) {
        let path = self.path.clone();
        drop(self);
        // The caller reports the error that ended the run; if the folder cannot be removed, it stays.
        let _ = discard(&path);
    }

    /// Opens the folder of a run to be resumed, given the folder or one of its checkpoints, and loads the checkpoint.
    /// Existing files do not change before [`RunFolder::cut_back`].
    pub fn resume(run: &Path) -> Result<(RunFolder, Restored)> {
        let of_checkpoint = fs::metadata(run).map_err(Error::io("read", run))?.is_file();
        let no_run = |path: &Path| {
            let problem = "expected a run folder, or a checkpoint in the folder of its run: there is no run.toml";
            Error::file(path, problem)
        };
        let path = if of_checkpoint { run.ancestors().nth(2).ok_or_else(|| no_run(run))? } else { run };
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let record = path.join(RECORD_FILE);
        check_own_file(&record, Links::Refuse)?;
        if !is_there(&record)? {
            return Err(no_run(path));
        }
        let mut folder = RunFolder::open(path.to_path_buf())?;
        let restored = if of_checkpoint { folder.checkpoints.load(run)? } else { folder.checkpoints.last()? };
        Ok((folder, restored))
    }

    fn open(path: PathBuf) -> Result<RunFolder> {
        check_files(&path)?;
        let lock = lock(&path, "another process is training this run")?;
        let append = File::options().create(true).append(true).clone();
        let metrics = open_own_file(&path.join(METRICS_FILE), &append, Links::Refuse)?;
        let checkpoints = Checkpoints::new(path.join(CHECKPOINTS));
        Ok(RunFolder { path, metrics, checkpoints, lock })
    }

    /// A warning for the user if the file system has no locks.
    pub(super) fn lock_warning(&self) -> Option<String> {
        lock_warning(&self.path, &self.lock)
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `run.toml`, the record of the run.
    pub(super) fn write_record(&self, record: &RunRecord) -> Result<()> {
        let path = self.path.join(RECORD_FILE);
        let text = record.to_toml()?;
        replace_own_file(&path, |file| file.write_all(text.as_bytes()))
    }

    /// Writes `tune.toml`, the kernels that the run uses.
    pub fn write_choices(&self, choices: &KernelChoices) -> Result<()> {
        let path = self.path.join(TUNE_FILE);
        let text = toml::to_string(choices).map_err(|error| Error::file(&path, error.to_string()))?;
        replace_own_file(&path, |file| file.write_all(text.as_bytes()))
    }

    /// Appends a line to `metrics.jsonl`.
    pub fn write_metric(&mut self, line: &str) -> Result<()> {
        let line = format!("{line}\n");
        self.metrics.write_all(line.as_bytes()).map_err(Error::io("write", self.path.join(METRICS_FILE)))
    }

    /// Removes from `metrics.jsonl` the lines that the resumed run will write again, and whatever interrupted writes
    /// have left behind. A damaged file is first saved under another name; the damage is then described in the result.
    pub fn cut_back(&mut self, to: &Progress) -> Result<Option<String>> {
        let path = self.path.join(METRICS_FILE);
        let text = read_metrics(&path)?;
        let kept = metrics::until(&text, to);
        let mut damage = metrics::damage(&text, to);
        if let Some(damage) = &mut damage {
            let aside = self.set_aside(METRICS_FILE, &text)?;
            *damage = format!(
                "{}: {damage}; the file as it was is kept as {}, and the run goes on with the lines that are whole",
                path.display(),
                aside.display()
            );
        }
        if text.starts_with(&kept) {
            self.metrics.set_len(kept.len() as u64).map_err(Error::io("cut", &path))?;
        } else {
            let written = self.metrics.set_len(0).and_then(|()| self.metrics.write_all(&kept));
            written.and_then(|()| self.metrics.sync_all()).map_err(Error::io("write", &path))?;
        }
        for folder in [&self.path, &self.path.join(CHECKPOINTS)] {
            for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
                let path = entry.map_err(Error::io("read", folder))?.path();
                if is_own_temporary(&path) {
                    fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                }
            }
        }
        Ok(damage)
    }

    /// Writes the content of a damaged file to `<name>.damaged`, or if that exists to `<name>.damaged-2` and so on, and
    /// returns the path.
    fn set_aside(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let mut number = 1;
        loop {
            let suffix = if number == 1 { String::new() } else { format!("-{number}") };
            let path = self.path.join(format!("{name}.damaged{suffix}"));
            match File::options().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                opened => {
                    let written = opened.and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()));
                    return written.map(|()| path.clone()).map_err(Error::io("write", path));
                }
            }
        }
    }

    /// Writes `model.safetensors`; the previous file stays until the new one is complete.
    pub fn write_weights(&self, network: &Network, weights: &Weights) -> Result<()> {
        weights.check_room()?;
        replace_own_file(&self.path.join(MODEL_FILE), |file| file.write_all(&weights.to_bytes(network)))
    }

    /// Writes a file in `checkpoints/`. The metrics are synced to disk first, because a run resumed from the checkpoint
    /// does not write them again.
    pub fn write_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.metrics.sync_all().map_err(Error::io("write", self.path.join(METRICS_FILE)))?;
        self.checkpoints.save(checkpoint)
    }

    /// Removes all checkpoints except the last and the best.
    pub(super) fn prune_checkpoints(&self) -> Result<()> {
        self.checkpoints.prune()
    }

    /// Writes `confusion.csv`, the last confusion matrix.
    pub fn write_confusion(&self, evaluation: &Evaluation) -> Result<()> {
        let text = confusion::to_csv(&evaluation.confusion);
        replace_own_file(&self.path.join(CONFUSION_FILE), |file| file.write_all(text.as_bytes()))
    }

    /// Adds to an error of the run where its last good weights are, or how it can be resumed, if the files for it are
    /// intact.
    pub fn explain(&self, error: Error) -> Error {
        let (run, weights) = (self.path.display(), self.path.join(MODEL_FILE));
        if let Error::NotFinite(problem) = error {
            let good = match Weights::open(&weights) {
                Ok(_) => format!("the last good weights are in {}", weights.display()),
                Err(problem) => format!("there are no good weights to go back to: {problem}"),
            };
            return Error::NotFinite(format!("{problem}\n{good}"));
        }
        let remedy = match self.checkpoints.check_last() {
            Ok(()) => format!("the last checkpoint is good: shadegrad train --resume {run}"),
            Err(problem) => format!("there is no checkpoint to go on from: {problem}"),
        };
        match error {
            Error::Memory(problem) => Error::Memory(format!("{problem}\n{remedy}")),
            Error::Device(problem) => Error::Device(format!("{problem}\n{remedy}")),
            Error::DeviceLost(problem) => Error::DeviceLost(format!("{problem}\n{remedy}")),
            Error::Ranks(error) => Error::Ranks(Box::new(self.explain(*error))),
            error => Error::Run(format!("{error}\n{remedy}")),
        }
    }
}

/// Fails if a file of a run is anything but a regular file in its folder. A run folder from somebody else may contain
/// links to the user's own files, which resuming the run would truncate and overwrite.
///
/// Replacing the files while the run continues gains an attacker nothing: each file is checked again when it is
/// written, and is then opened without following links or replaced by a new file.
fn check_files(run: &Path) -> Result<()> {
    for name in [LOCK_FILE, RECORD_FILE, TUNE_FILE, METRICS_FILE, MODEL_FILE, CONFUSION_FILE] {
        check_own_file(&run.join(name), Links::Refuse)?;
    }
    Checkpoints::new(run.join(CHECKPOINTS)).check()
}

/// Locks a folder until the lock is dropped; fails with `busy` if another process holds the lock. If the file system
/// has no locks, nobody is kept out, and [`Lock::missing`] says why.
pub fn lock(folder: &Path, busy: &str) -> Result<Lock> {
    try_lock(folder)?.ok_or_else(|| Error::file(folder, busy))
}

/// Like [`lock`], but `None` if another process holds the lock.
pub fn try_lock(folder: &Path) -> Result<Option<Lock>> {
    Lock::take(&folder.join(LOCK_FILE), Links::Refuse)
}

/// Like [`try_lock`], but any number of processes can hold this lock at the same time; `None` if a process has locked
/// the folder for itself.
pub fn try_share_lock(folder: &Path) -> Result<Option<Lock>> {
    Lock::share(&folder.join(LOCK_FILE), Links::Refuse)
}

/// Whether a process has locked a folder, alone or with others.
pub fn is_locked(folder: &Path) -> Result<bool> {
    Lock::is_held(&folder.join(LOCK_FILE), Links::Refuse)
}

/// A warning that a folder is not locked, and why; given only once per process.
pub fn lock_warning(folder: &Path, lock: &Lock) -> Option<String> {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    let missing = lock.missing()?;
    (!IS_SAID.swap(true, Ordering::Relaxed)).then(|| {
        format!(
            "the file system of {} has no locks ({missing}): take care that no other process trains there",
            folder.display()
        )
    })
}

/// The run in the folder `runs` that was started or resumed last.
///
/// # Errors
///
/// [`Error::File`] if there is no run in it.
pub fn newest(runs: &Path) -> Result<PathBuf> {
    let none = || Error::file(runs, "there is no run in this folder yet; `shadegrad train` makes one");
    let entries = match fs::read_dir(runs) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(none()),
        read => read.and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(Error::io("read", runs))?,
    };
    let began = |path: &Path| fs::metadata(path.join(RECORD_FILE)).and_then(|record| record.modified()).ok();
    let dated = entries.into_iter().filter_map(|entry| Some((began(&entry.path())?, entry.path())));
    dated.max().map(|(_, path)| path).ok_or_else(none)
}

/// The folder of the run that a path belongs to, if the path is a run folder, its weights or one of its checkpoints.
/// `None` for files outside of runs.
pub fn folder_of(path: &Path) -> Option<&Path> {
    path.ancestors().take(3).find(|folder| folder.join(RECORD_FILE).is_file())
}

/// Whether the run folder has a `run.toml`.
pub fn has_record(run: &Path) -> Result<bool> {
    is_there(&run.join(RECORD_FILE))
}

/// Whether there is a file with this name. Fails if that cannot be determined.
fn is_there(path: &Path) -> Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// The content of `metrics.jsonl`, whose last line may be incomplete.
fn read_metrics(path: &Path) -> Result<Vec<u8>> {
    /// Limit in bytes: one line for each of about forty million steps.
    const MOST: u64 = 4 << 30;
    read_own_file(path, MOST, Links::Follow)
}

/// Reads the epochs from `metrics.jsonl`.
pub fn read_epochs(run: &Path) -> Result<Vec<EpochReport>> {
    let path = run.join(METRICS_FILE);
    let text = read_metrics(&path)?;
    metrics::epochs(&text).map_err(|problem| Error::file(&path, problem))
}

/// Reads `confusion.csv`; `None` if the run has not written it yet.
pub fn read_confusion(run: &Path) -> Result<Option<Vec<Vec<u64>>>> {
    let path = run.join(CONFUSION_FILE);
    let Some(text) = read_own_text_if_there(&path, Links::Follow)? else { return Ok(None) };
    confusion::from_csv(&text).map(Some).map_err(|problem| Error::file(&path, problem))
}

/// Whether the run has reached its first checkpoint. Without one there is nothing to resume from, and nothing to lose.
pub fn has_begun(run: &Path) -> Result<bool> {
    let folder = run.join(CHECKPOINTS);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        read => read.and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(Error::io("read", &folder))?,
    };
    Ok(entries.iter().any(|entry| entry.path().extension().is_some_and(|extension| extension == "safetensors")))
}

/// Removes the folder of a run that ended before its first checkpoint. Fails without removing anything if another
/// process is training the run, if it has a checkpoint, or if the folder holds files that no run writes.
pub fn discard(run: &Path) -> Result<()> {
    drop(lock(run, "another process is training this run")?);
    for entry in fs::read_dir(run).map_err(Error::io("read", run))? {
        let path = entry.map_err(Error::io("read", run))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ours = [LOCK_FILE, RECORD_FILE, TUNE_FILE, METRICS_FILE, MODEL_FILE, CHECKPOINTS];
        if has_begun(run)? || !(ours.contains(&name) || is_own_temporary(&path)) {
            return Err(Error::file(run, format!("expected a run folder, found {name} in it; move it away")));
        }
    }
    fs::remove_dir_all(run).map_err(Error::io("remove", run))
}

fn taken(path: &Path) -> Error {
    let problem = "there is something of this name already; runs are never overwritten, `shadegrad train --resume` goes on with one";
    Error::file(path, problem)
}

fn free_folder(runs: &Path, model: &str) -> Result<PathBuf> {
    fs::create_dir_all(runs).map_err(Error::io("create", runs))?;
    let date = crate::clock::today();
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

/// Opens the network and the weights of a run folder or a weights file.
pub fn open_model(path: &Path) -> Result<(Network, Weights)> {
    Weights::open(&model_file(path)?)
}

/// Like [`open_model`], with the network named, which a file from PyTorch does not contain.
pub fn open_model_as(path: &Path, model: &str) -> Result<(Network, Weights)> {
    let network = Network::open(model)?;
    let weights = Weights::open_as(&model_file(path)?, &network)?;
    Ok((network, weights))
}

/// The weights file of a run folder, or the path itself if it is not a folder.
fn model_file(path: &Path) -> Result<PathBuf> {
    if !fs::metadata(path).map_err(Error::io("read", path))?.is_dir() {
        return Ok(path.to_path_buf());
    }
    let file = path.join(MODEL_FILE);
    check_own_file(&file, Links::Follow)?;
    Ok(file)
}
