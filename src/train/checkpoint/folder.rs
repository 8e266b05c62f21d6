//! The checkpoint folder of a run: the last two checkpoints, and the best.

use super::Checkpoint;
use crate::error::{Error, Result};
use crate::files::{Links, check_own_file, check_own_folder, replace_own_file};
use crate::network::weights;
use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// File name of the checkpoint with the best validation accuracy.
const BEST: &str = "best.safetensors";

/// The folder `checkpoints/` of a run: `step-00000600.safetensors` for each of the last two checkpoints, and a copy of
/// the best, `best.safetensors`.
///
/// A new checkpoint is written next to the others and read back in full before an older one is removed. So there is
/// always one to resume from, even if the program is killed or the machine loses power.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    /// File name of the last checkpoint that was written or loaded.
    former: Option<OsString>,
}

/// A checkpoint and its path.
#[derive(Debug)]
pub struct Restored {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Path of its file.
    pub path: PathBuf,
}

impl Checkpoints {
    /// The checkpoints in a folder. The first [`Checkpoints::save`] creates it.
    pub fn new(folder: PathBuf) -> Checkpoints {
        Checkpoints { folder, former: None }
    }

    /// Fails if the folder is a link, or one of its checkpoints is not a regular file: both could point outside the
    /// run.
    pub fn check(&self) -> Result<()> {
        check_own_folder(&self.folder)?;
        if !self.folder.is_dir() {
            return Ok(());
        }
        self.steps()?.iter().chain([&self.folder.join(BEST)]).try_for_each(|path| check_own_file(path, Links::Refuse))
    }

    /// The last checkpoint. If it cannot be read, the error names an older one that can.
    pub fn last(&mut self) -> Result<Restored> {
        let mut all = self.steps()?;
        let Some(last) = all.pop() else {
            return Err(Error::file(&self.folder, "no checkpoint found: the run ended before its first"));
        };
        self.load(&last).map_err(|error| {
            let best = self.folder.join(BEST);
            let is_whole =
                |path: &PathBuf| check_own_file(path, Links::Refuse).is_ok() && Checkpoint::load(path).is_ok();
            let whole = all.into_iter().rev().chain([best]).find(is_whole);
            let remedy = match whole {
                Some(path) => format!("an older one is intact: shadegrad train --resume {}", path.display()),
                None => "there is no older one that is intact".to_string(),
            };
            Error::Checkpoint(format!("{error}\n{remedy}"))
        })
    }

    /// Checks that there is a last checkpoint and that it is intact. Needs no more memory than the size of the file.
    pub fn check_last(&self) -> Result<()> {
        match self.steps()?.pop() {
            Some(last) => Checkpoint::check(&last),
            None => Err(Error::file(&self.folder, "no checkpoint found")),
        }
    }

    /// Loads this checkpoint. A later [`Checkpoints::save`] continues from it and removes the checkpoints that followed
    /// it.
    pub fn load(&mut self, path: &Path) -> Result<Restored> {
        check_own_file(path, Links::Refuse)?;
        let checkpoint = Checkpoint::load(path)?;
        self.former = path.file_name().map(Into::into);
        Ok(Restored { checkpoint, path: path.to_path_buf() })
    }

    /// Writes the next checkpoint, reads it back, and only then removes all but this one, the previous one and the
    /// best.
    pub fn save(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        check_own_folder(&self.folder)?;
        match fs::create_dir(&self.folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::io("create", &self.folder)(error));
            }
            _ => {}
        }
        let path = self.folder.join(format!("step-{:08}.safetensors", checkpoint.state.progress.step));
        write_and_compare(checkpoint, &path)?;
        tracing::debug!(path = %path.display(), best = checkpoint.is_best(), "checkpoint written");
        if checkpoint.is_best() {
            write_and_compare(checkpoint, &self.folder.join(BEST))?;
        }
        for other in self.steps()? {
            if other != path && other.file_name() != self.former.as_deref() {
                fs::remove_file(&other).map_err(Error::io("remove", &other))?;
            }
        }
        self.former = path.file_name().map(Into::into);
        Ok(())
    }

    /// Removes all checkpoints but the last and the best: a finished run needs no older one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the folder cannot be read or a file cannot be removed.
    pub fn prune(&self) -> Result<()> {
        let mut all = self.steps()?;
        // The last one was read back in full when it was written.
        all.pop();
        all.iter().try_for_each(|path| fs::remove_file(path).map_err(Error::io("remove", path)))
    }

    /// The checkpoints named after their step, in the order of steps.
    fn steps(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(Error::io("read", &self.folder))? {
            let path = entry.map_err(Error::io("read", &self.folder))?.path();
            if let Some(step) = step_of(&path) {
                found.push((step, path));
            }
        }
        found.sort();
        Ok(found.into_iter().map(|(_, path)| path).collect())
    }
}

/// The step in a file's name.
fn step_of(path: &Path) -> Option<usize> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()
}

/// Writes a checkpoint and compares what can be read back: a disk may report success and store something else.
fn write_and_compare(checkpoint: &Checkpoint, path: &Path) -> Result<()> {
    checkpoint.check_room()?;
    let bytes = checkpoint.to_bytes();
    replace_own_file(path, |file| file.write_all(&bytes))?;
    let found = weights::read(path)?;
    if found == bytes {
        return Ok(());
    }
    let _ = fs::remove_file(path);
    Err(Error::file(path, "the file read back differs from what was written: the disk or its file system is faulty"))
}
