//! The checkpoints of a run: a folder with the last two, and the best.

use super::Checkpoint;
use crate::error::{Error, Result};
use crate::files::{Links, check_own_file, check_own_folder, replace_own_file};
use crate::network::weights;
use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The best by validation accuracy.
const BEST: &str = "best.safetensors";

/// `checkpoints/` of a run: `step-00000600.safetensors` for the last two, and a copy of the best, `best.safetensors`.
///
/// A new one is written beside them and read back whole before an older one is removed. Whenever the program is killed or
/// the machine loses its power, there is one to go on from.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    /// The name of the one that was written or resumed from last.
    former: Option<OsString>,
}

/// A checkpoint with its place.
#[derive(Debug)]
pub struct Restored {
    /// What it holds.
    pub checkpoint: Checkpoint,
    /// Where it lies.
    pub path: PathBuf,
}

impl Checkpoints {
    /// Those in a folder, which the first [`Checkpoints::save`] makes.
    pub fn new(folder: PathBuf) -> Checkpoints {
        Checkpoints { folder, former: None }
    }

    /// Fails where the folder is a link, or one of its checkpoints is no regular file: both could lead out of the run.
    pub fn check(&self) -> Result<()> {
        check_own_folder(&self.folder)?;
        if !self.folder.is_dir() {
            return Ok(());
        }
        self.steps()?.iter().chain([&self.folder.join(BEST)]).try_for_each(|path| check_own_file(path, Links::Refuse))
    }

    /// The last one. Where it cannot be read, the error names an older one that can.
    pub fn last(&mut self) -> Result<Restored> {
        let mut all = self.steps()?;
        let Some(last) = all.pop() else {
            return Err(Error::file(&self.folder, "expected a checkpoint, found none: the run has not come so far"));
        };
        self.load(&last).map_err(|error| {
            let best = self.folder.join(BEST);
            let is_whole =
                |path: &PathBuf| check_own_file(path, Links::Refuse).is_ok() && Checkpoint::load(path).is_ok();
            let whole = all.into_iter().rev().chain([best]).find(is_whole);
            let remedy = match whole {
                Some(path) => format!("an older one is whole: shadegrad train --resume {}", path.display()),
                None => "no older one is whole".to_string(),
            };
            Error::Checkpoint(format!("{error}\n{remedy}"))
        })
    }

    /// Whether the last one is there and whole. It takes no more memory than the file has bytes.
    pub fn check_last(&self) -> Result<()> {
        match self.steps()?.pop() {
            Some(last) => Checkpoint::check(&last),
            None => Err(Error::file(&self.folder, "expected a checkpoint, found none")),
        }
    }

    /// This one. What is written from now on follows it: [`Checkpoints::save`] removes those that have gone on from it.
    pub fn load(&mut self, path: &Path) -> Result<Restored> {
        check_own_file(path, Links::Refuse)?;
        let checkpoint = Checkpoint::load(path)?;
        self.former = path.file_name().map(Into::into);
        Ok(Restored { checkpoint, path: path.to_path_buf() })
    }

    /// Writes the next one, reads it back, and only then removes all but this one, the one before it and the best.
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

    /// Those that are named by their step, the last one last.
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

/// A disk may say that all is well and keep something else.
fn write_and_compare(checkpoint: &Checkpoint, path: &Path) -> Result<()> {
    checkpoint.check_room()?;
    let bytes = checkpoint.to_bytes();
    replace_own_file(path, |file| file.write_all(&bytes))?;
    let found = weights::read(path)?;
    if found == bytes {
        return Ok(());
    }
    let _ = fs::remove_file(path);
    Err(Error::file(path, "what was written is not what is read back: the disk or its file system is at fault"))
}
