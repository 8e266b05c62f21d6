//! Cached measurements of this machine: a JSON file of named entries in a cache folder, which the program that uses
//! this library chooses.
//!
//! A cache may be lost at any time: a file that cannot be read or holds invalid entries is silently ignored and
//! overwritten.

use crate::error::{Error, Result};
use crate::files::{Links, beside, check_own_file, read_own_text, replace_file};
use crate::lock::Lock;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait for another process to change a file, which normally takes a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Keeps other processes from changing a file in the user's cache folder until the lock is dropped, so that concurrent
/// writes are not lost. Creates the folder if needed.
///
/// # Errors
///
/// [`Error::Io`] when the folder cannot be written, [`Error::File`] when another process holds the lock for too long.
pub(crate) fn locked(path: &Path) -> Result<Lock> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    Lock::wait(&beside(path, ".lock"), Links::Follow, Some(PATIENCE), || ())
}

/// Checks whether an entry is valid.
type IsSound<T> = fn(&T) -> bool;

/// The entries of a cache file, with changes that are not saved yet.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    path: Option<PathBuf>,
    is_sound: IsSound<T>,
    entries: BTreeMap<String, T>,
    /// Keys of the entries that are not saved yet.
    changed: BTreeSet<String>,
}

impl<T: Clone + Serialize + DeserializeOwned> Kept<T> {
    /// Reads the entries of a file; there are none if the file is missing or damaged. Without a path, nothing is saved.
    pub fn open(path: Option<PathBuf>, is_sound: IsSound<T>) -> Kept<T> {
        let entries = path.as_deref().and_then(|path| read(path, is_sound)).unwrap_or_default();
        Kept { path, is_sound, entries, changed: BTreeSet::new() }
    }

    /// Path of the file, if entries are saved.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The entry of a key.
    pub fn get(&self, key: &str) -> Option<&T> {
        self.entries.get(key)
    }

    /// Adds or replaces an entry. [`Kept::save`] writes it to the file.
    pub fn insert(&mut self, key: String, entry: T) {
        self.changed.insert(key.clone());
        self.entries.insert(key, entry);
    }

    /// Saves new and changed entries; entries that other processes have written since are kept.
    pub fn save(&mut self) -> Result<()> {
        let Some(path) = self.path.as_deref().filter(|_| !self.changed.is_empty()) else { return Ok(()) };
        let _lock = locked(path)?;
        let mut all = read(path, self.is_sound).unwrap_or_default();
        let learned = self.changed.iter().filter_map(|key| self.entries.get_key_value(key));
        all.extend(learned.map(|(key, entry)| (key.clone(), entry.clone())));
        let text = serde_json::to_string_pretty(&all).map_err(|error| Error::file(path, error.to_string()))?;
        check_own_file(path, Links::Follow)?;
        replace_file(path, |file| file.write_all(text.as_bytes()))?;
        self.changed.clear();
        Ok(())
    }
}

/// The entries of a file, if it can be read and all of them are valid.
fn read<T: DeserializeOwned>(path: &Path, is_sound: IsSound<T>) -> Option<BTreeMap<String, T>> {
    parse(read_own_text(path, Links::Follow).ok()?.as_bytes(), is_sound)
}

/// The entries in a file's content, if it can be parsed and all of them are valid.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], is_sound: IsSound<T>) -> Option<BTreeMap<String, T>> {
    let entries: BTreeMap<String, T> = serde_json::from_slice(bytes).ok()?;
    entries.values().all(is_sound).then_some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Locks belong to open files rather than to processes, so threads can stand in for processes.
    #[test]
    fn nothing_is_lost_when_many_write_at_once() {
        const WRITERS: usize = 8;
        const ENTRIES: usize = 10;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.json");
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let path = path.clone();
                scope.spawn(move || {
                    for entry in 0..ENTRIES {
                        let mut kept = Kept::open(Some(path.clone()), |_: &usize| true);
                        kept.insert(format!("{writer} {entry}"), entry);
                        kept.save().unwrap();
                    }
                });
            }
        });
        let kept = Kept::open(Some(path), |_: &usize| true);
        assert_eq!(kept.entries.len(), WRITERS * ENTRIES);
    }

    #[test]
    fn an_entry_that_another_process_has_changed_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Kept::open(Some(folder.path().join("kept.json")), |_: &f64| true);
        let mut first = open();
        first.insert("a".into(), 1.0);
        first.save().unwrap();
        let (mut one, mut other) = (open(), open());
        other.insert("a".into(), 2.0);
        other.save().unwrap();
        one.insert("b".into(), 3.0);
        one.save().unwrap();
        assert_eq!((open().get("a"), open().get("b")), (Some(&2.0), Some(&3.0)));
    }

    #[test]
    fn entries_survive_and_damage_does_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/kept.json");
        let open = || Kept::open(Some(path.clone()), |number: &f64| *number > 0.0);
        let mut kept = open();
        let mut other = open();
        kept.insert("a".into(), 1.5);
        kept.save().unwrap();
        // The entries of another process are kept.
        other.insert("b".into(), 2.5);
        other.save().unwrap();
        assert_eq!((open().get("a"), open().get("b")), (Some(&1.5), Some(&2.5)));
        let text = std::fs::read_to_string(&path).unwrap();
        for damage in [&text[..text.len() / 2], "", "[]", &text.replace("1.5", "-1.5"), &text.replace("1.5", "null")] {
            std::fs::write(&path, damage).unwrap();
            let mut kept = open();
            assert_eq!((kept.get("a"), kept.get("b")), (None, None), "{damage}");
            kept.insert("c".into(), 3.5);
            kept.save().unwrap();
            assert_eq!(open().get("c"), Some(&3.5));
        }
        let mut nowhere = Kept::open(None, |_: &f64| true);
        nowhere.insert("a".into(), 1.0);
        nowhere.save().unwrap();
        assert_eq!((nowhere.get("a"), nowhere.path()), (Some(&1.0), None));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_not_regular_is_an_error_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.json");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut kept = Kept::open(Some(path.clone()), |_: &f64| true);
        kept.insert("a".into(), 1.5);
        let said = kept.save().unwrap_err().to_string();
        assert!(said.contains("expected a regular file, got a FIFO"), "{said}");
        // Links in the user's own folder are followed.
        let real = folder.path().join("real.json");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&real, &path).unwrap();
        kept.save().unwrap();
        assert!(path.is_symlink() && Kept::open(Some(real), |_: &f64| true).get("a") == Some(&1.5));
    }
}
