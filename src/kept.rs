//! What was found on this machine and is worth keeping: a JSON file of named entries in a cache folder,
//! which the program that uses this library chooses.
//!
//! A cache may be lost at any time: a file that cannot be read, or holds something impossible, is set aside in silence
//! and written anew.

use crate::error::{Error, Result};
use crate::files::{Links, beside, check_own_file, read_own_text, replace_file};
use crate::lock::Lock;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long another process may take to change a file. It takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Keeps other processes from changing a file in the user's cache folder until this is dropped, so that nothing of what they
/// write is lost. The folder is made if need be.
///
/// # Errors
///
/// [`Error::Io`] when the folder cannot be written, [`Error::File`] when another process does not come to an end with it.
pub(crate) fn locked(path: &Path) -> Result<Lock> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    Lock::wait(&beside(path, ".lock"), Links::Follow, Some(PATIENCE), || ())
}

/// Whether an entry can be used.
type IsSound<T> = fn(&T) -> bool;

/// The entries of a file.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    path: Option<PathBuf>,
    is_sound: IsSound<T>,
    entries: BTreeMap<String, T>,
    /// The keys of those that are not written yet.
    changed: BTreeSet<String>,
}

impl<T: Clone + Serialize + DeserializeOwned> Kept<T> {
    /// Those of a file; none where there is none, or a damaged one. Without a path nothing is kept.
    pub fn open(path: Option<PathBuf>, is_sound: IsSound<T>) -> Kept<T> {
        let entries = path.as_deref().and_then(|path| read(path, is_sound)).unwrap_or_default();
        Kept { path, is_sound, entries, changed: BTreeSet::new() }
    }

    /// Where it lies.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What is known under a key.
    pub fn get(&self, key: &str) -> Option<&T> {
        self.entries.get(key)
    }

    /// Remembers.
    pub fn insert(&mut self, key: String, entry: T) {
        self.changed.insert(key.clone());
        self.entries.insert(key, entry);
    }

    /// Writes what was learned; what other processes have written stays.
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

/// The entries of a file, if it is whole and all of them can be used.
fn read<T: DeserializeOwned>(path: &Path, is_sound: IsSound<T>) -> Option<BTreeMap<String, T>> {
    parse(read_own_text(path, Links::Follow).ok()?.as_bytes(), is_sound)
}

/// The same from a file's bytes.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], is_sound: IsSound<T>) -> Option<BTreeMap<String, T>> {
    let entries: BTreeMap<String, T> = serde_json::from_slice(bytes).ok()?;
    entries.values().all(is_sound).then_some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Locks are of open files, so threads stand for processes.
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
    fn what_another_has_learned_of_a_known_entry_stays() {
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
        // Another process's entries stay.
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
    fn what_is_no_regular_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.json");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let mut kept = Kept::open(Some(path.clone()), |_: &f64| true);
        kept.insert("a".into(), 1.5);
        let said = kept.save().unwrap_err().to_string();
        assert!(said.contains("expected a regular file, got a FIFO"), "{said}");
        // A link in the user's own folder is the user's wish.
        let real = folder.path().join("real.json");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&real, &path).unwrap();
        kept.save().unwrap();
        assert!(path.is_symlink() && Kept::open(Some(real), |_: &f64| true).get("a") == Some(&1.5));
    }
}
