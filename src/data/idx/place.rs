//! Finds the four files of a data set, whatever the spelling of their names.

use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The four files: training images, training labels, test images, test labels. The names stay the same for colour
/// images (of rank 4), so that other programs find the files.
pub(super) const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// The names that a file may have in a folder.
fn spellings(name: &str) -> [String; 4] {
    let dotted = name.replace("-idx", ".idx");
    [name.to_string(), format!("{name}.gz"), dotted.clone(), format!("{dotted}.gz")]
}

/// The file with this name in any spelling, if it exists.
///
/// # Errors
///
/// [`Error::Io`] if the system cannot tell whether it exists.
pub(in crate::data) fn present(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    for path in spellings(name).into_iter().map(|spelling| folder.join(spelling)) {
        if fs::exists(&path).map_err(Error::io("look for", &path))? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The folder of the four files, and the prefix of their names: empty, or for example `emnist-letters-`.
pub(in crate::data) struct Place {
    folder: PathBuf,
    prefix: String,
}

impl Place {
    /// The set in a folder or, if the folder has several, the one selected by a path such as `FOLDER/emnist-letters`.
    /// Does not check that all of its files exist.
    pub fn of(path: &Path) -> Result<Place> {
        if !path.is_dir()
            && let (Some(folder), Some(name)) = (path.parent(), path.file_name())
            && let prefix = format!("{}-", name.to_string_lossy())
            && prefixes(folder).contains(&prefix)
        {
            return Ok(Place { folder: folder.to_path_buf(), prefix });
        }
        let place = |prefix| Ok(Place { folder: path.to_path_buf(), prefix });
        let found = if present(path, NAMES[0])?.is_some() { BTreeSet::new() } else { prefixes(path) };
        if found.len() > 1 {
            let names: Vec<&str> = found.iter().map(|prefix| prefix.trim_end_matches('-')).collect();
            let example = path.join(names[0]);
            let problem = format!("holds {}; choose one: {}", names.join(", "), example.display());
            return Err(Error::file(path, problem));
        }
        place(found.into_iter().next().unwrap_or_default())
    }

    /// Whether the training images exist. Also true if the folder cannot be read, so that reading the files reports the
    /// error.
    pub fn is_there(&self) -> bool {
        let is_closed = |error: io::Error| error.kind() != io::ErrorKind::NotFound;
        present(&self.folder, &format!("{}{}", self.prefix, NAMES[0])).is_ok_and(|found| found.is_some())
            || fs::read_dir(&self.folder).is_err_and(is_closed)
    }

    /// Whether the files are those of EMNIST.
    pub fn is_emnist(&self) -> bool {
        self.prefix.starts_with("emnist-")
    }

    /// The file with this name, in any spelling.
    pub(super) fn find(&self, name: &str) -> Result<PathBuf> {
        let name = format!("{}{name}", self.prefix);
        let found = match present(&self.folder, &name)? {
            None => present(&self.folder, &name.replace("t10k", "test"))?,
            found => found,
        };
        found.ok_or_else(|| {
            let folder = self.folder.display();
            let problem = format!(
                "no file {} here; `shadegrad data fetch mnist --out {folder}` downloads MNIST, and `--data builtin` needs no \
                 files",
                spellings(&name).join(", ")
            );
            Error::file(&self.folder, problem)
        })
    }
}

/// Prefixes of the names of training images in a folder, in alphabetical order.
fn prefixes(folder: &Path) -> BTreeSet<String> {
    let names =
        fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|name| {
            let plain = name.trim_end_matches(".gz").replace(".idx", "-idx");
            plain.strip_suffix(NAMES[0]).filter(|prefix| prefix.ends_with('-')).map(str::to_string)
        })
        .collect()
}
