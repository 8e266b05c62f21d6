//! The passes that the tuner has a choice for, each with its candidates and what is known about them.

use super::cache::{Cache, Measured};
use super::refuse;
use super::trial::{self, Outputs, Verdict};
use crate::data::hex;
use crate::error::Result;
use crate::gpu::Recording;
use crate::network::Compiled;
use crate::ops::{self, KernelConfig};
use crate::plan::Pass;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A pass with fewer multiplications and additions takes too little time for a choice to matter.
const LEAST_FLOPS: u64 = 10_000_000;

/// A pass in the tuner.
pub(super) struct Contest<'a> {
    pub pass: &'a Pass,
    pub key: String,
    /// The configurations that lead to different kernels.
    pub candidates: Vec<KernelConfig>,
    pub entry: Option<Measured>,
    /// Whether the cache already had results for all candidates.
    pub cached: bool,
    /// Longest time that a candidate took, including compilation and comparison.
    pub took: Option<Duration>,
    /// Candidates known to be wrong on this device, each with the reason.
    pub known_bad: Vec<(KernelConfig, String)>,
    /// The reference's result for the pass, once the CPU engine was found to be wrong.
    pub reference: Option<Outputs>,
}

impl Contest<'_> {
    pub fn knows(&self, config: &KernelConfig) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.knows(config))
    }

    /// The reason not to try a candidate, if there is one.
    pub fn refusal(&self, config: &KernelConfig) -> Option<Verdict> {
        let known = self.known_bad.iter().find(|(known, _)| known == config);
        known.map(|(_, why)| Verdict::Wrong(why.clone()))
    }

    pub fn unknown(&self) -> usize {
        self.candidates.iter().filter(|config| !self.knows(config)).count()
    }
}

/// The passes that the tuner has a choice for, the most expensive first: the time spent always went to the most
/// important ones.
pub(super) fn contests<'a>(
    compiled: &'a Compiled,
    candidates: &[KernelConfig],
    cache: &Cache,
) -> Result<Vec<Contest<'a>>> {
    let mut contests = Vec::new();
    for pass in tunable(compiled, &candidates[0])? {
        let (key, candidates) = distinct(compiled, pass, candidates)?;
        let known_bad = refuse::known(cache.known_bad(), compiled, pass, &candidates)?;
        let mut entry = cache.get(&key).cloned();
        for (config, why) in &known_bad {
            if let Some(entry) = &mut entry {
                entry.add(*config, Verdict::Wrong(why.clone()));
            }
        }
        let contest = Contest { pass, key, candidates, entry, cached: false, took: None, known_bad, reference: None };
        contests.push(Contest { cached: contest.unknown() == 0, ..contest });
    }
    contests.sort_by_key(|contest| std::cmp::Reverse(contest.pass.op.flops()));
    Ok(contests)
}

/// The passes whose kernels depend on the configuration.
fn tunable<'a>(compiled: &'a Compiled, seed: &KernelConfig) -> Result<Vec<&'a Pass>> {
    let mut found = Vec::new();
    for pass in compiled.train.iter().filter(|pass| pass.op.flops() >= LEAST_FLOPS) {
        let mut recording = Recording::new();
        ops::record(&compiled.plan, pass, seed, &mut recording)?;
        if recording.dispatches().any(|dispatch| dispatch.variant.engine.is_some()) {
            found.push(pass);
        }
    }
    Ok(found)
}

/// The cache key of a pass and its distinct candidates. The key covers the pass's shape and the text of every kernel
/// that could be chosen, but not the location of its tensors: the same layer in another network is the same pass.
/// Candidates that lead to the same kernels as an earlier one are left out: for example, a short sum is never split,
/// however many workgroups are allowed.
fn distinct(compiled: &Compiled, pass: &Pass, candidates: &[KernelConfig]) -> Result<(String, Vec<KernelConfig>)> {
    let plan = trial::alone(&compiled.plan, pass);
    let mut key = Sha256::new();
    key.update(format!("{:?}", pass.op));
    let mut seen = Vec::new();
    let mut distinct = Vec::new();
    for config in candidates {
        let mut recording = Recording::new();
        ops::record(&plan, pass, config, &mut recording)?;
        let mut kernels = Sha256::new();
        for dispatch in recording.dispatches() {
            kernels.update(dispatch.kernel.text()?);
            kernels.update(format!("{:?}", dispatch.groups));
        }
        let kernels = kernels.finalize();
        key.update(kernels);
        if !seen.contains(&kernels) {
            seen.push(kernels);
            distinct.push(*config);
        }
    }
    Ok((hex(&key.finalize()[..16]), distinct))
}
