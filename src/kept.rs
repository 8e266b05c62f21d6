//! What was found on this machine and is worth keeping: a JSON file of named entries in the user's cache folder.
//!
//! A cache may be lost at any time: a file that cannot be read, or holds something impossible, is set aside in silence
//! and written anew.

use crate::error::{Error, Result};
use crate::files::{Links, check_own_file, read_own_text, replace_file};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// `$SHADEGRAD_CACHE`, else `shadegrad` in the system's folder for caches.
pub(crate) fn folder() -> Option<PathBuf> {
    match std::env::var_os("SHADEGRAD_CACHE") {
        Some(folder) if !folder.is_empty() => Some(folder.into()),
        _ => dirs::cache_dir().map(|folder| folder.join("shadegrad")),
    }
}

/// Whether an entry can be used.
type IsSound<T> = fn(&T) -> bool;

/// The entries of a file.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    path: Option<PathBuf>,
    is_sound: IsSound<T>,
    entries: BTreeMap<String, T>,
    changed: bool,
}

impl<T: Clone + Serialize + DeserializeOwned> Kept<T> {
    /// Those of a file; none where there is none, or a damaged one. Without a path nothing is kept.
    pub fn open(path: Option<PathBuf>, is_sound: IsSound<T>) -> Kept<T> {
        let entries = path.as_deref().and_then(|path| read(path, is_sound)).unwrap_or_default();
        Kept { path, is_sound, entries, changed: false }
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
        self.entries.insert(key, entry);
        self.changed = true;
    }

    /// Writes what was learned; what another process wrote meanwhile stays.
    pub fn save(&mut self) -> Result<()> {
        let Some(path) = self.path.as_deref().filter(|_| self.changed) else { return Ok(()) };
        let mut all = read(path, self.is_sound).unwrap_or_default();
        all.extend(self.entries.clone());
        let text = serde_json::to_string_pretty(&all).map_err(|error| Error::file(path, error.to_string()))?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        check_own_file(path, Links::Follow)?;
        replace_file(path, |file| file.write_all(text.as_bytes()))?;
        self.changed = false;
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
