//! The tuner's results on this machine, in one JSON file for each device.

use super::trial::Verdict;
use crate::data::hex;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::kept::{self, Kept};
use crate::known_bad::KnownBad;
use crate::ops::KernelConfig;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Version of the check that candidates must pass: the reference, and the comparison with it. It is part of the cache
/// file's name, so that candidates refused by an earlier check are tried again.
const JUDGE: u32 = 3;

/// A gain of less than 3 % counts as noise.
const NOISE: f64 = 0.97;

/// Measurements of one pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Label of the pass where it was first met.
    pub label: String,
    /// The chosen configuration.
    pub config: KernelConfig,
    /// Seconds per pass with the chosen configuration; `None` if no candidate so far is correct.
    pub seconds: Option<f64>,
    /// The correct candidates, each with its time in seconds per pass.
    pub tried: Vec<(KernelConfig, f64)>,
    /// The refused candidates, each with the reason.
    pub refused: Vec<(KernelConfig, String)>,
}

impl Measured {
    /// An entry without measurements, with a guess as its configuration.
    pub fn new(label: &str, guess: KernelConfig) -> Measured {
        Measured { label: label.to_string(), config: guess, seconds: None, tried: Vec::new(), refused: Vec::new() }
    }

    fn is_sound(&self) -> bool {
        self.config.validate().is_ok()
    }

    /// The fastest correct candidate, if there is one.
    pub fn best(&self) -> Option<KernelConfig> {
        self.seconds.map(|_| self.config)
    }

    /// Seconds per pass measured with a configuration, if it was measured.
    pub fn seconds_of(&self, config: &KernelConfig) -> Option<f64> {
        self.tried.iter().find(|(known, _)| known == config).map(|(_, seconds)| *seconds)
    }

    /// Whether the configuration has been tried.
    pub fn knows(&self, config: &KernelConfig) -> bool {
        let tried = self.tried.iter().map(|(known, _)| known);
        tried.chain(self.refused.iter().map(|(known, _)| known)).any(|known| known == config)
    }

    /// Adds the verdict on a candidate, and keeps the shortest of its times. The fastest candidate is chosen, but the
    /// first that was tried stays unless another is clearly faster.
    pub fn add(&mut self, config: KernelConfig, verdict: Verdict) {
        match verdict {
            Verdict::Wrong(why) => {
                // The candidate may have passed earlier; the failure counts.
                self.tried.retain(|(known, _)| *known != config);
                if !self.refused.iter().any(|(known, _)| *known == config) {
                    self.refused.push((config, why));
                }
            }
            Verdict::Right(seconds) => match self.tried.iter_mut().find(|(known, _)| *known == config) {
                Some((_, least)) => *least = least.min(seconds),
                None => self.tried.push((config, seconds)),
            },
        }
        let Some(first) = self.tried.first() else {
            self.seconds = None;
            return;
        };
        let best = self.tried.iter().fold(first, |best, other| {
            let needed = if best == first { NOISE } else { 1.0 };
            if other.1 < needed * best.1 { other } else { best }
        });
        (self.config, self.seconds) = (best.0, Some(best.1));
    }
}

/// The tuner's results for a device.
#[derive(Debug)]
pub struct Cache {
    kept: Kept<Measured>,
    known_bad: KnownBad,
}

impl Cache {
    /// Opens the cache of a device in a folder; it is empty if there is no file or the file is damaged. Without a
    /// folder, results are not saved.
    pub fn open(folder: Option<&Path>, gpu: &Gpu) -> Cache {
        let device = (&gpu.info.name, gpu.info.vendor, gpu.info.device, gpu.driver(), gpu.info.backend, gpu.lanes());
        let hash = Sha256::digest(format!("{device:?}, judge {JUDGE}"));
        let name = hex(&hash[..8]);
        let cache = Cache::open_file(folder.map(|folder| folder.join(format!("tune-{name}.json"))));
        // `verify` reports a damaged user list; here only the built-in list is used then.
        let known_bad = KnownBad::open(folder, gpu).or_else(|_| KnownBad::open(None, gpu)).unwrap_or_default();
        Cache { known_bad, ..cache }
    }

    fn open_file(path: Option<PathBuf>) -> Cache {
        Cache { kept: Kept::open(path, Measured::is_sound), known_bad: KnownBad::default() }
    }

    /// The entries in the bytes of a cache file; `None` if it is damaged or one of its configurations is invalid.
    pub fn entries_of(bytes: &[u8]) -> Option<BTreeMap<String, Measured>> {
        kept::parse(bytes, Measured::is_sound)
    }

    /// Path of the file, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.kept.path()
    }

    /// The kernels known to be wrong on this device.
    pub fn known_bad(&self) -> &KnownBad {
        &self.known_bad
    }

    /// The entry with this key.
    pub fn get(&self, key: &str) -> Option<&Measured> {
        self.kept.get(key)
    }

    /// Adds or replaces the entry of a pass.
    pub fn insert(&mut self, key: String, entry: Measured) {
        self.kept.insert(key, entry);
    }

    /// Writes the cache; entries that another process wrote meanwhile are kept.
    pub fn save(&mut self) -> Result<()> {
        self.kept.save()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Tile;

    #[test]
    fn the_fastest_right_candidate_wins() {
        let guess = KernelConfig::software();
        let other = KernelConfig { tile: Tile { rows: 8, ..guess.tile }, ..guess };
        let mut entry = Measured::new("conv1.forward", guess);
        entry.add(guess, Verdict::Right(2.0));
        entry.add(other, Verdict::Right(1.99));
        assert_eq!((entry.config, entry.seconds), (guess, Some(2.0)), "0.2 % is noise");
        entry.add(other, Verdict::Wrong("no".into()));
        assert_eq!(entry.config, guess);
        entry.add(other, Verdict::Right(1.0));
        assert_eq!((entry.config, entry.seconds), (other, Some(1.0)));
        assert_eq!((entry.tried.len(), entry.refused.len()), (2, 1));
        assert_eq!((entry.best(), entry.seconds_of(&guess)), (Some(other), Some(2.0)));
    }

    #[test]
    fn what_turns_out_wrong_is_chosen_no_more() {
        let guess = KernelConfig::software();
        let other = KernelConfig { tile: Tile { rows: 8, ..guess.tile }, ..guess };
        let mut entry = Measured::new("conv1.forward", guess);
        entry.add(guess, Verdict::Right(2.0));
        entry.add(other, Verdict::Right(1.0));
        entry.add(other, Verdict::Wrong("no".into()));
        assert_eq!((entry.best(), entry.seconds), (Some(guess), Some(2.0)));
        entry.add(guess, Verdict::Wrong("no".into()));
        assert_eq!((entry.best(), entry.knows(&guess), entry.seconds_of(&guess)), (None, true, None));
        assert_eq!((entry.tried.len(), entry.refused.len()), (0, 2));
    }

    #[test]
    fn an_entry_that_cannot_be_run_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tune.json");
        let entry = Measured::new("conv1.forward", KernelConfig::software());
        let mut cache = Cache::open_file(Some(path.clone()));
        cache.insert("a".into(), entry.clone());
        cache.save().unwrap();
        assert_eq!(Cache::open_file(Some(path.clone())).get("a"), Some(&entry));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"rows\": 12", "\"rows\": 0")).unwrap();
        assert_eq!(Cache::open_file(Some(path)).get("a"), None);
    }
}
