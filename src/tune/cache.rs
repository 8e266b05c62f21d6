//! What was found on this machine, one JSON file for each device.

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

/// Version of what says whether a candidate is right: the reference, and the comparison with it. It is part of the name of
/// the cache's file, so that what an earlier judge has refused is tried again.
const JUDGE: u32 = 3;

/// A gain of less than three in a hundred is noise.
const NOISE: f64 = 0.97;

/// What is known of one pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Where it was met first.
    pub label: String,
    /// The configuration that is taken.
    pub config: KernelConfig,
    /// Seconds a pass with it; none if nothing that was tried is right.
    pub seconds: Option<f64>,
    /// Everything that was tried: its seconds.
    pub tried: Vec<(KernelConfig, f64)>,
    /// What was refused, and why.
    pub refused: Vec<(KernelConfig, String)>,
}

impl Measured {
    /// Nothing but a guess.
    pub fn new(label: &str, guess: KernelConfig) -> Measured {
        Measured { label: label.to_string(), config: guess, seconds: None, tried: Vec::new(), refused: Vec::new() }
    }

    fn is_sound(&self) -> bool {
        self.config.validate().is_ok()
    }

    /// The fastest that is right, if anything is.
    pub fn best(&self) -> Option<KernelConfig> {
        self.seconds.map(|_| self.config)
    }

    /// What was measured of some settings, in seconds a pass.
    pub fn seconds_of(&self, config: &KernelConfig) -> Option<f64> {
        self.tried.iter().find(|(known, _)| known == config).map(|(_, seconds)| *seconds)
    }

    /// Whether it has been tried.
    pub fn knows(&self, config: &KernelConfig) -> bool {
        let tried = self.tried.iter().map(|(known, _)| known);
        tried.chain(self.refused.iter().map(|(known, _)| known)).any(|known| known == config)
    }

    /// Adds what came of a candidate; the least of its times counts. The fastest is chosen, but the first that was tried
    /// stays unless another is clearly faster.
    pub fn add(&mut self, config: KernelConfig, verdict: Verdict) {
        match verdict {
            Verdict::Wrong(why) => {
                // It may have been right once: another verification knows better.
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

/// The entries of a device.
#[derive(Debug)]
pub struct Cache {
    kept: Kept<Measured>,
    known_bad: KnownBad,
}

impl Cache {
    /// The cache of a device in a folder; empty where there is none, or a damaged one. Without a folder nothing is kept.
    pub fn open(folder: Option<&Path>, gpu: &Gpu) -> Cache {
        let device = (&gpu.info.name, gpu.info.vendor, gpu.info.device, gpu.driver(), gpu.info.backend, gpu.lanes());
        let hash = Sha256::digest(format!("{device:?}, judge {JUDGE}"));
        let name = hex(&hash[..8]);
        let cache = Cache::open_file(folder.map(|folder| folder.join(format!("tune-{name}.json"))));
        // Of a damaged list of the user's, `verify` says so; the one of the program is left.
        let known_bad = KnownBad::open(folder, gpu).or_else(|_| KnownBad::open(None, gpu)).unwrap_or_default();
        Cache { known_bad, ..cache }
    }

    fn open_file(path: Option<PathBuf>) -> Cache {
        Cache { kept: Kept::open(path, Measured::is_sound), known_bad: KnownBad::default() }
    }

    /// The entries in the bytes of a cache's file; none if it is damaged, or one of them is impossible.
    pub fn entries_of(bytes: &[u8]) -> Option<BTreeMap<String, Measured>> {
        kept::parse(bytes, Measured::is_sound)
    }

    /// Where the file lies.
    pub fn path(&self) -> Option<&Path> {
        self.kept.path()
    }

    /// What is known to be wrong on this device.
    pub fn known_bad(&self) -> &KnownBad {
        &self.known_bad
    }

    /// What is known under a key.
    pub fn get(&self, key: &str) -> Option<&Measured> {
        self.kept.get(key)
    }

    /// Remembers what is known of a pass.
    pub fn insert(&mut self, key: String, entry: Measured) {
        self.kept.insert(key, entry);
    }

    /// Writes what was learned; what another process wrote meanwhile stays.
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
        assert_eq!((entry.config, entry.seconds), (guess, Some(2.0)), "two per mille are noise");
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
