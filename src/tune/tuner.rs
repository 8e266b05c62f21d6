//! Tries the candidates of all passes on a device, as long as there is time, and says which are best.

use super::cache::{Cache, Measured};
use super::candidates::candidates;
use super::choices::KernelChoices;
use super::contest::{Contest, contests};
use super::refuse;
use super::trial::{Outputs, Trial, Verdict};
use crate::error::Result;
use crate::fast::{Instructions, Team};
use crate::gpu::Gpu;
use crate::known_bad::KnownBad;
use crate::network::Compiled;
use crate::ops::{ChooseKernel, KernelConfig, KernelForm, OperandSource};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Candidates of which nothing is known, as long as the next is expected to end within this time; the next call goes
    /// on from there. Without any time nothing is tried.
    Within(Duration),
    /// Every candidate of every pass, twice, whatever the cache knows.
    Full,
}

/// What the tuner is doing.
#[derive(Clone, Copy, Debug)]
pub struct TuneProgress<'a> {
    /// Number of the candidate, from 1 to [`TuneProgress::candidates`].
    pub candidate: usize,
    /// How many candidates all passes have together.
    pub candidates: usize,
    /// Label of the pass.
    pub label: &'a str,
    /// Configuration that is tried.
    pub config: &'a KernelConfig,
}

/// What is known of a pass after tuning.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// Label of the pass.
    pub label: String,
    /// Multiplications and additions of the pass.
    pub flops: u64,
    /// The choice, with all that was tried for it.
    pub entry: Measured,
    /// Whether the cache knew everything.
    pub cached: bool,
}

/// The passes of a network that there is a choice for, and what is known of them on a device: from the cache, and by
/// trying.
///
/// Trying may stop and go on at any time, the most expensive passes first. Nothing is held on the device in between.
pub struct Tuner<'a> {
    compiled: &'a Compiled,
    guess: KernelConfig,
    candidates: Vec<KernelConfig>,
    contests: Vec<Contest<'a>>,
    known_bad: KnownBad,
    tamper_with_cpu: Option<fn(&mut Outputs)>,
}

/// Something that the tuner found to compute something else than it should.
#[derive(Clone, Debug, PartialEq)]
pub enum WrongResult {
    /// A candidate for a pass. It was refused.
    Kernel {
        /// Label of the pass.
        label: String,
        /// The configuration that was refused.
        config: KernelConfig,
        /// Where it was wrong.
        why: String,
    },
    /// The CPU engine, with which candidates are compared first. The reference took its place, and no kernel was refused
    /// for it.
    CpuEngine {
        /// Label of the pass.
        label: String,
        /// Where it was wrong.
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
    /// Finds the passes, and looks up what the cache knows of them.
    pub fn new(gpu: &Gpu, compiled: &'a Compiled, cache: &Cache) -> Result<Tuner<'a>> {
        let candidates = candidates(gpu);
        let guess = candidates[0];
        let contests = contests(compiled, &candidates, cache)?;
        let known_bad = cache.known_bad().clone();
        Ok(Tuner { compiled, guess, candidates, contests, known_bad, tamper_with_cpu: None })
    }

    /// Changes whatever the CPU engine computes, so that it can be seen to be blamed.
    pub fn tamper_with_cpu(&mut self, tamper: fn(&mut Outputs)) {
        self.tamper_with_cpu = Some(tamper);
    }

    /// How many passes there is a choice for.
    pub fn passes(&self) -> usize {
        self.contests.len()
    }

    /// How many candidates nothing is known of.
    pub fn left(&self) -> usize {
        self.contests.iter().map(Contest::unknown).sum()
    }

    /// Whether something was measured of every pass, so that nothing has to be before a run begins.
    pub fn has_met_all(&self) -> bool {
        self.contests.iter().all(|contest| contest.entry.as_ref().is_some_and(|entry| !entry.tried.is_empty()))
    }

    /// Whether a candidate is left that is expected to end within a time.
    pub fn can_go_on(&self, limit: Duration) -> bool {
        let mut left = self.contests.iter().filter(|contest| contest.unknown() > 0);
        !limit.is_zero() && left.any(|contest| self.expected_of(contest) < limit)
    }

    /// How long the next candidate of a pass may take: as long as the slowest of the pass so far, or of all.
    fn expected_of(&self, contest: &Contest<'_>) -> Duration {
        let slowest = || self.contests.iter().filter_map(|contest| contest.took).max();
        contest.took.or_else(slowest).unwrap_or_default()
    }

    /// Tries candidates on a device, and returns what was found to be wrong. The device must be of the same kind as the one
    /// that the tuner was made for. What was found before an error is kept.
    pub async fn go_on(
        &mut self,
        gpu: &Gpu,
        effort: Effort,
        progress: &mut dyn FnMut(TuneProgress<'_>),
    ) -> Result<Vec<WrongResult>> {
        let started = Instant::now();
        // Twice where there is time: a machine that is busy for a moment must not decide.
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

    /// The best that is known of each pass. Wrong candidates are never chosen; passes of which nothing is known keep the
    /// best guess for the device, unless it is known to be wrong there.
    pub fn choices(&self) -> Result<KernelChoices> {
        let naive = KernelConfig { form: KernelForm::Naive, operands: OperandSource::Buffer, ..self.guess };
        let known = self.contests.iter().filter_map(|contest| Some((contest, contest.entry.as_ref()?)));
        let best = known.map(|(contest, entry)| (contest.pass.label.clone(), entry.best().unwrap_or(naive)));
        let mut choices = KernelChoices { others: self.guess, passes: best.collect() };
        refuse::avoid(&self.known_bad, self.compiled, &self.candidates, &mut choices)?;
        Ok(choices)
    }

    /// How much less time the passes take by the best that is known than by the choices of a run, as a share; nothing if
    /// one of these was never measured.
    pub fn gain_over(&self, choices: &KernelChoices) -> Option<f64> {
        let (mut now, mut then) = (0.0, 0.0);
        for contest in &self.contests {
            let entry = contest.entry.as_ref()?;
            now += entry.seconds_of(choices.config(&contest.pass.label))?;
            then += entry.seconds?;
        }
        (now > 0.0).then(|| 1.0 - then / now)
    }

    /// What is known, pass by pass.
    pub fn tuned(&self) -> Vec<Tuned> {
        let tuned = |Contest { pass, entry, cached, .. }: &Contest<'_>| {
            let entry = entry.clone()?;
            Some(Tuned { label: pass.label.clone(), flops: pass.op.flops(), entry, cached: *cached })
        };
        self.contests.iter().filter_map(tuned).collect()
    }

    /// Puts what is known into a cache, which is not saved yet.
    pub fn remember(&self, cache: &mut Cache) {
        for contest in self.contests.iter().filter(|contest| !contest.cached) {
            if let Some(entry) = &contest.entry {
                cache.insert(contest.key.clone(), entry.clone());
            }
        }
    }
}
