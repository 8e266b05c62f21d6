//! Tries the candidates of all passes on a device within the time allowed, and chooses the best.

use super::cache::{Cache, Measured};
use super::candidates::candidates;
use super::choices::KernelChoices;
use super::contest::{Contest, contests};
use super::refuse;
use super::trial::{Outputs, Trial, Verdict};
use crate::clock::Instant;
use crate::error::Result;
use crate::fast::{Instructions, Team};
use crate::gpu::Gpu;
use crate::known_bad::KnownBad;
use crate::network::Compiled;
use crate::ops::{ChooseKernel, KernelConfig, KernelForm, OperandSource};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How much to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Candidates without results, while the next one is expected to end within this time; the next call continues from
    /// there. With no time, nothing is tried.
    Within(Duration),
    /// Every candidate of every pass, twice, whatever the cache holds.
    Full,
}

/// Progress of the tuner.
#[derive(Clone, Copy, Debug)]
pub struct TuneProgress<'a> {
    /// Number of the candidate, from 1 to [`TuneProgress::candidates`].
    pub candidate: usize,
    /// Number of candidates of all passes.
    pub candidates: usize,
    /// Label of the pass.
    pub label: &'a str,
    /// The configuration being tried.
    pub config: &'a KernelConfig,
}

/// The result of tuning a pass.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// Label of the pass.
    pub label: String,
    /// Multiplications and additions of the pass.
    pub flops: u64,
    /// The choice, with everything that was tried.
    pub entry: Measured,
    /// Whether all results came from the cache.
    pub cached: bool,
}

/// The passes of a network that have a choice of kernels, and what is known about them on a device, from the cache and
/// from trials.
///
/// Tuning may stop and continue at any time, and handles the most expensive passes first. It holds nothing on the
/// device in between.
pub struct Tuner<'a> {
    compiled: &'a Compiled,
    guess: KernelConfig,
    candidates: Vec<KernelConfig>,
    contests: Vec<Contest<'a>>,
    known_bad: KnownBad,
    tamper_with_cpu: Option<fn(&mut Outputs)>,
}

/// A wrong result that the tuner found.
#[derive(Clone, Debug, PartialEq)]
pub enum WrongResult {
    /// A candidate for a pass gave a wrong result and was refused.
    Kernel {
        /// Label of the pass.
        label: String,
        /// The configuration that was refused.
        config: KernelConfig,
        /// The first difference.
        why: String,
    },
    /// The CPU engine, with which candidates are compared first, gave a wrong result. The reference took its place, and
    /// no kernel was refused because of it.
    CpuEngine {
        /// Label of the pass.
        label: String,
        /// The first difference.
        why: String,
    },
}

impl fmt::Display for WrongResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WrongResult::Kernel { label, config, why } => {
                write!(f, "{label}: the kernel {config} is wrong on this device and was refused: {why}")
            }
            WrongResult::CpuEngine { label, why } => write!(
                f,
                "{label}: the CPU engine is wrong: {why}; the kernels were compared with the reference instead; do not \
                 train this network with `--device cpu`, and please report what `shadegrad verify --device cpu` prints"
            ),
        }
    }
}

impl<'a> Tuner<'a> {
    /// Finds the passes, and looks up their results in the cache.
    pub fn new(gpu: &Gpu, compiled: &'a Compiled, cache: &Cache) -> Result<Tuner<'a>> {
        let candidates = candidates(gpu);
        let guess = candidates[0];
        let contests = contests(compiled, &candidates, cache)?;
        let known_bad = cache.known_bad().clone();
        Ok(Tuner { compiled, guess, candidates, contests, known_bad, tamper_with_cpu: None })
    }

    /// Changes all outputs of the CPU engine, so that tests can provoke a fault of the CPU engine.
    pub fn tamper_with_cpu(&mut self, tamper: fn(&mut Outputs)) {
        self.tamper_with_cpu = Some(tamper);
    }

    /// Number of passes that have a choice of kernels.
    pub fn passes(&self) -> usize {
        self.contests.len()
    }

    /// Number of candidates without results.
    pub fn left(&self) -> usize {
        self.contests.iter().map(Contest::unknown).sum()
    }

    /// Whether every pass has a measurement, so that none is needed before a run starts.
    pub fn has_met_all(&self) -> bool {
        self.contests.iter().all(|contest| contest.entry.as_ref().is_some_and(|entry| !entry.tried.is_empty()))
    }

    /// Whether there is a candidate left that is expected to end within the limit.
    pub fn can_go_on(&self, limit: Duration) -> bool {
        let mut left = self.contests.iter().filter(|contest| contest.unknown() > 0);
        !limit.is_zero() && left.any(|contest| self.expected_of(contest) < limit)
    }

    /// Expected duration of the next candidate of a pass: that of the slowest candidate of the pass so far, or of all
    /// passes.
    fn expected_of(&self, contest: &Contest<'_>) -> Duration {
        let slowest = || self.contests.iter().filter_map(|contest| contest.took).max();
        contest.took.or_else(slowest).unwrap_or_default()
    }

    /// Tries candidates on a device, and returns the wrong results that it found. The device must be of the same kind
    /// as the one that the tuner was made for. Results found before an error are kept.
    pub async fn go_on(
        &mut self,
        gpu: &Gpu,
        effort: Effort,
        progress: &mut dyn FnMut(TuneProgress<'_>),
    ) -> Result<Vec<WrongResult>> {
        let started = Instant::now();
        // Each candidate is tried twice if there is time, so that a short load on the machine does not decide.
        let (rounds, limit) = match effort {
            Effort::Within(limit) => (1, limit),
            Effort::Full => (2, Duration::MAX),
        };
        if effort == Effort::Full {
            for contest in &mut self.contests {
                (contest.entry, contest.cached) = (None, false);
            }
        }
        let total = rounds * self.left();
        let mut tried = 0;
        let mut team = None;
        let mut wrong = Vec::new();
        for (round, at) in (0..rounds).flat_map(|round| (0..self.candidates.len()).map(move |at| (round, at))) {
            for index in 0..self.contests.len() {
                let contest = &self.contests[index];
                let Some(&config) = contest.candidates.get(at) else { continue };
                let is_done = round == 0 && contest.knows(&config);
                if is_done || started.elapsed().saturating_add(self.expected_of(contest)) >= limit {
                    continue;
                }
                tried += 1;
                let label = &contest.pass.label;
                progress(TuneProgress { candidate: tried, candidates: total, label, config: &config });
                let start = Instant::now();
                let team = match &mut team {
                    Some(team) => team,
                    none => none.insert(Arc::new(Team::new(None, Instructions::best())?)),
                };
                let verdict = match contest.refusal(&config) {
                    Some(refusal) => refusal,
                    None => {
                        let trial = self.trial(gpu, team, contest)?;
                        let verdict = trial.run(&config).await?;
                        if let Some(why) = trial.cpu_fault() {
                            wrong.push(WrongResult::CpuEngine { label: label.clone(), why });
                            self.contests[index].reference = trial.into_reference();
                        }
                        verdict
                    }
                };
                let contest = &mut self.contests[index];
                if let Verdict::Wrong(why) = &verdict {
                    let label = contest.pass.label.clone();
                    wrong.push(WrongResult::Kernel { label, config, why: why.clone() });
                }
                contest.took = contest.took.max(Some(start.elapsed()));
                tracing::debug!(pass = contest.pass.label, kernel = %config, ?verdict, "kernel tried");
                contest.entry.get_or_insert_with(|| Measured::new(&contest.pass.label, config)).add(config, verdict);
            }
        }
        Ok(wrong)
    }

    fn trial<'b>(&self, gpu: &'b Gpu, team: &Arc<Team>, contest: &Contest<'b>) -> Result<Trial<'b>> {
        if let Some(expected) = &contest.reference {
            return Ok(Trial::by_reference(gpu, self.compiled, contest.pass, expected.clone()));
        }
        let mut trial = Trial::new(gpu, team, self.compiled, contest.pass)?;
        self.tamper_with_cpu.iter().for_each(|tamper| trial.tamper_with_cpu(tamper));
        Ok(trial)
    }

    /// The best configuration known for each pass. Wrong candidates are never chosen; passes without results keep the
    /// best guess for the device, unless it is known to be wrong there.
    pub fn choices(&self) -> Result<KernelChoices> {
        let naive = KernelConfig { form: KernelForm::Naive, operands: OperandSource::Buffer, ..self.guess };
        let known = self.contests.iter().filter_map(|contest| Some((contest, contest.entry.as_ref()?)));
        let best = known.map(|(contest, entry)| (contest.pass.label.clone(), entry.best().unwrap_or(naive)));
        let mut choices = KernelChoices { others: self.guess, passes: best.collect() };
        refuse::avoid(&self.known_bad, self.compiled, &self.candidates, &mut choices)?;
        Ok(choices)
    }

    /// The fraction of time saved by the best known configurations compared with the choices of a run; `None` if one of
    /// these was never measured.
    pub fn gain_over(&self, choices: &KernelChoices) -> Option<f64> {
        let (mut now, mut then) = (0.0, 0.0);
        for contest in &self.contests {
            let entry = contest.entry.as_ref()?;
            now += entry.seconds_of(choices.config(&contest.pass.label))?;
            then += entry.seconds?;
        }
        (now > 0.0).then(|| 1.0 - then / now)
    }

    /// The results of each pass.
    pub fn tuned(&self) -> Vec<Tuned> {
        let tuned = |Contest { pass, entry, cached, .. }: &Contest<'_>| {
            let entry = entry.clone()?;
            Some(Tuned { label: pass.label.clone(), flops: pass.op.flops(), entry, cached: *cached })
        };
        self.contests.iter().filter_map(tuned).collect()
    }

    /// Adds the results to a cache, which is not saved yet.
    pub fn remember(&self, cache: &mut Cache) {
        for contest in self.contests.iter().filter(|contest| !contest.cached) {
            if let Some(entry) = &contest.entry {
                cache.insert(contest.key.clone(), entry.clone());
            }
        }
    }
}
