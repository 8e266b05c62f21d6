//! The passes that the tuner has a choice for, each with its candidates and what is known about them.

use super::cache::{Cache, Measured};
use super::trial::{self, Outputs, Verdict};
use super::{model, refuse};
use crate::data::hex;
use crate::error::Result;
use crate::gpu::Recording;
use crate::network::Compiled;
use crate::ops::{self, KernelConfig, KernelForm};
use crate::plan::Pass;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A pass with fewer multiplications and additions takes too little time for a choice to matter.
const LEAST_FLOPS: u64 = 10_000_000;

/// Largest number of candidates that are tried for a pass on a GPU.
pub const MOST_STAGED: usize = 8;

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
    let mut times = Vec::new();
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
            times.push(model::cycles(&recording));
        }
    }
    if candidates[0].form == KernelForm::Staged {
        distinct = most_promising(&distinct, &times);
    }
    Ok((hex(&key.finalize()[..16]), distinct))
}

/// The candidates that are worth the time on a GPU, the most promising first, by their modelled times. The best guess
/// for the device, which is the first of all, is always among them.
fn most_promising(candidates: &[KernelConfig], times: &[Option<model::Cycles>]) -> Vec<KernelConfig> {
    let mut order = model::order(times);
    if let Some(guess) = order.iter().position(|at| *at == 0)
        && guess >= MOST_STAGED
    {
        order.swap(guess, MOST_STAGED - 1);
    }
    order.into_iter().take(MOST_STAGED).map(|at| candidates[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::candidates_from;

    #[test]
    fn the_guess_is_among_the_most_promising() {
        let candidates = candidates_from(KernelConfig::hardware());
        let cycles = |at: usize| Some([at as f64; 3]);
        let worst_first: Vec<_> = (0..candidates.len()).map(|at| cycles(candidates.len() - at)).collect();
        let best = most_promising(&candidates, &worst_first);
        assert_eq!(best.len(), MOST_STAGED);
        assert_eq!((best[0], best[MOST_STAGED - 1]), (candidates[candidates.len() - 1], candidates[0]));
        let best_first: Vec<_> = (0..candidates.len()).map(|at| cycles(at + 1)).collect();
        assert_eq!(most_promising(&candidates, &best_first), candidates[..MOST_STAGED]);
    }
}
