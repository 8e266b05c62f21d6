//! What was found on this machine, one JSON file for each device.
//!
//! A cache may be lost at any time: a file that cannot be read is set aside in silence and written anew.

use super::trial::Verdict;
use crate::data::replace_file;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::known_bad::KnownBad;
use crate::ops::{Form, OperandSource, Settings};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A gain of less than three in a hundred is noise.
const NOISE: f64 = 0.97;

/// What is known of one pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it was met first.
    pub label: String,
    /// The best.
    pub settings: Settings,
    /// Seconds a pass with it; none if nothing that was tried is right.
    pub seconds: Option<f64>,
    /// Everything that was tried: its seconds.
    pub tried: Vec<(Settings, f64)>,
    /// What was refused, and why.
    pub refused: Vec<(Settings, String)>,
}

impl Entry {
    /// Nothing but a guess.
    pub fn new(label: &str, guess: Settings) -> Entry {
        Entry { label: label.to_string(), settings: guess, seconds: None, tried: Vec::new(), refused: Vec::new() }
    }

    /// Whether it has been tried.
    pub fn knows(&self, settings: &Settings) -> bool {
        let tried = self.tried.iter().map(|(known, _)| known);
        tried.chain(self.refused.iter().map(|(known, _)| known)).any(|known| known == settings)
    }

    /// Adds what came of a candidate; the least of its times counts. The fastest is chosen, but the first that was tried
    /// stays unless another is clearly faster.
    pub fn add(&mut self, settings: Settings, verdict: Verdict) {
        match verdict {
            Verdict::Wrong(why) => {
                // It may have been right once: another verification knows better.
                self.tried.retain(|(known, _)| *known != settings);
                if self.settings == settings {
                    let naive =
                        Settings { form: Form::Naive, operands: OperandSource::Buffer, wide: false, ..settings };
                    (self.settings, self.seconds) = (naive, None);
                }
                if !self.refused.iter().any(|(known, _)| *known == settings) {
                    self.refused.push((settings, why));
                }
            }
            Verdict::Right(seconds) => match self.tried.iter_mut().find(|(known, _)| *known == settings) {
                Some((_, least)) => *least = least.min(seconds),
                None => self.tried.push((settings, seconds)),
            },
        }
        let Some(first) = self.tried.first() else { return };
        let best = self.tried.iter().fold(first, |best, other| {
            let needed = if best == first { NOISE } else { 1.0 };
            if other.1 < needed * best.1 { other } else { best }
        });
        (self.settings, self.seconds) = (best.0, Some(best.1));
    }
}

/// The entries of a device.
#[derive(Debug, Default)]
pub struct Cache {
    path: Option<PathBuf>,
    entries: BTreeMap<String, Entry>,
    changed: bool,
    known_bad: KnownBad,
}

impl Cache {
    /// `$SHADEGRAD_CACHE`, else `shadegrad` in the system's folder for caches.
    pub fn folder() -> Option<PathBuf> {
        match std::env::var_os("SHADEGRAD_CACHE") {
            Some(folder) if !folder.is_empty() => Some(folder.into()),
            _ => dirs::cache_dir().map(|folder| folder.join("shadegrad")),
        }
    }

    /// The cache of a device in a folder; empty where there is none, or a damaged one. Without a folder nothing is kept.
    pub fn open(folder: Option<&Path>, gpu: &Gpu) -> Cache {
        let device = (&gpu.info.name, gpu.info.vendor, gpu.info.device, gpu.driver(), gpu.info.backend, gpu.lanes());
        let hash = Sha256::digest(format!("{device:?}"));
        let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let cache = Cache::open_file(folder.map(|folder| folder.join(format!("tune-{name}.json"))));
        // Of a damaged list of the user's, `verify` says so; the one of the program is left.
        let known_bad = KnownBad::open(folder, gpu).or_else(|_| KnownBad::open(None, gpu)).unwrap_or_default();
        Cache { known_bad, ..cache }
    }

    fn open_file(path: Option<PathBuf>) -> Cache {
        let entries = path.as_deref().and_then(read).unwrap_or_default();
        Cache { path, entries, changed: false, known_bad: KnownBad::default() }
    }

    /// Where it lies.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What is known to be wrong on this device.
    pub fn known_bad(&self) -> &KnownBad {
        &self.known_bad
    }

    /// What is known under a key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Remembers.
    pub fn insert(&mut self, key: String, entry: Entry) {
        self.entries.insert(key, entry);
        self.changed = true;
    }

    /// Writes what was learned; what another process wrote meanwhile stays.
    pub fn save(&mut self) -> Result<()> {
        let Some(path) = self.path.as_deref().filter(|_| self.changed) else { return Ok(()) };
        let mut all = read(path).unwrap_or_default();
        all.extend(self.entries.clone());
        let text = serde_json::to_string_pretty(&all).map_err(|error| Error::file(path, error.to_string()))?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        replace_file(path, |file| file.write_all(text.as_bytes()))?;
        self.changed = false;
        Ok(())
    }
}

/// The entries of a file, if it is whole and all of them can be run.
fn read(path: &Path) -> Option<BTreeMap<String, Entry>> {
    let entries: BTreeMap<String, Entry> = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    entries.values().all(|entry| entry.settings.validate().is_ok()).then_some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Tile;

    #[test]
    fn the_fastest_right_candidate_wins() {
        let guess = Settings::software();
        let other = Settings { tile: Tile { rows: 8, ..guess.tile }, ..guess };
        let mut entry = Entry::new("conv1.forward", guess);
        entry.add(guess, Verdict::Right(2.0));
        entry.add(other, Verdict::Right(1.99));
        assert_eq!((entry.settings, entry.seconds), (guess, Some(2.0)), "two per mille are noise");
        entry.add(other, Verdict::Wrong("no".into()));
        assert_eq!(entry.settings, guess);
        entry.add(other, Verdict::Right(1.0));
        assert_eq!((entry.settings, entry.seconds), (other, Some(1.0)));
        assert_eq!((entry.tried.len(), entry.refused.len()), (2, 1));
    }

    #[test]
    fn what_turns_out_wrong_is_chosen_no_more() {
        let guess = Settings::software();
        let other = Settings { tile: Tile { rows: 8, ..guess.tile }, ..guess };
        let mut entry = Entry::new("conv1.forward", guess);
        entry.add(guess, Verdict::Right(2.0));
        entry.add(other, Verdict::Right(1.0));
        entry.add(other, Verdict::Wrong("no".into()));
        assert_eq!((entry.settings, entry.seconds), (guess, Some(2.0)));
        entry.add(guess, Verdict::Wrong("no".into()));
        assert_eq!((entry.settings.form, entry.seconds), (Form::Naive, None));
        assert_eq!((entry.tried.len(), entry.refused.len()), (0, 2));
    }

    #[test]
    fn entries_survive_and_damage_does_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/tune.json");
        let entry = Entry::new("conv1.forward", Settings::software());
        let mut cache = Cache::open_file(Some(path.clone()));
        cache.insert("a".into(), entry.clone());
        cache.save().unwrap();
        // Another process's entries stay.
        let mut other = Cache { path: Some(path.clone()), ..Cache::default() };
        other.insert("b".into(), entry.clone());
        other.save().unwrap();
        let both = Cache::open_file(Some(path.clone()));
        assert_eq!((both.get("a"), both.get("b")), (Some(&entry), Some(&entry)));
        let text = std::fs::read_to_string(&path).unwrap();
        for damage in [&text[..text.len() / 2], "", "[]", &text.replace("\"rows\": 12", "\"rows\": 0")] {
            std::fs::write(&path, damage).unwrap();
            let mut cache = Cache::open_file(Some(path.clone()));
            assert_eq!(cache.get("a"), None, "{damage}");
            cache.insert("c".into(), entry.clone());
            cache.save().unwrap();
            assert_eq!(Cache::open_file(Some(path.clone())).get("c"), Some(&entry));
        }
    }
}
