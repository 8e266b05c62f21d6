//! The folder of a run: `run.toml`, `tune.toml`, `metrics.jsonl`, `model.safetensors`, `confusion.csv`.

use super::output::confusion_csv;
use serde::Serialize;
use shadegrad::evaluate::Evaluation;
use shadegrad::network::{Network, Weights};
use shadegrad::tune::Choices;
use shadegrad::{Error, Result};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The name of the weights' file in a run folder.
pub const MODEL_FILE: &str = "model.safetensors";

/// The name of the file with the choice of kernels.
pub const TUNE_FILE: &str = "tune.toml";

/// A run folder being written.
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
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
        let metrics_path = path.join("metrics.jsonl");
        let metrics = File::create_new(&metrics_path).map_err(Error::io("create", &metrics_path))?;
        Ok(RunFolder { path, metrics })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `run.toml`: everything resolved.
    pub fn write_record(&self, record: &impl Serialize) -> Result<()> {
        let path = self.path.join("run.toml");
        let text = toml::to_string(record).map_err(|error| Error::file(&path, error.to_string()))?;
        fs::write(&path, text).map_err(Error::io("write", &path))
    }

    /// `tune.toml`: which kernels the run was done with.
    pub fn write_choices(&self, choices: &Choices) -> Result<()> {
        choices.save(&self.path.join(TUNE_FILE))
    }

    /// A line of `metrics.jsonl`.
    pub fn write_metric(&mut self, line: &str) -> Result<()> {
        let written = self.metrics.write_all(line.as_bytes()).and_then(|()| self.metrics.write_all(b"\n"));
        written.map_err(Error::io("write", self.path.join("metrics.jsonl")))
    }

    /// `model.safetensors`; the file of the former epoch stays until this one is whole.
    pub fn write_weights(&self, network: &Network, weights: &Weights) -> Result<()> {
        weights.save(network, &self.path.join(MODEL_FILE))
    }

    /// `confusion.csv`
    pub fn write_confusion(&self, evaluation: &Evaluation) -> Result<()> {
        let path = self.path.join("confusion.csv");
        fs::write(&path, confusion_csv(evaluation)).map_err(Error::io("write", &path))
    }
}

fn taken(path: &Path) -> Error {
    Error::file(path, "there is something of this name already; runs are never overwritten")
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
    let file = if path.is_dir() { path.join(MODEL_FILE) } else { path.to_path_buf() };
    Weights::open(&file)
}
