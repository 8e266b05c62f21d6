//! Which kernels are fastest here: a handful of candidates for each matrix pass, tried on the device itself.
//!
//! A candidate ([`KernelConfig`]: form, tile, operands, split) is run on small whole numbers, whose sums are exact in any
//! order, and must give the right bits before its time counts: those of the CPU engine, or where the two differ those of
//! the reference, which then says which of them is wrong. One that is known to be wrong here
//! ([`KnownBad`]) is not even tried. What was found is kept in the user's cache folder ([`Cache`]) by adapter, driver,
//! shape and shader text; the choices of a run are a small file ([`KernelChoices`]) that another run can be pinned to: other
//! tiles add in another order, so equal bits need equal choices.
//!
//! For the same reason a run keeps the kernels that it began with. A [`Tuner`] can go on between its epochs, on a device of
//! its own, but what it finds there is for the next run.

mod cache;
mod refuse;
mod trial;

pub use cache::{Cache, Entry};
pub use trial::{Outputs, Trial, Verdict};

use crate::clock::Instant;
use crate::data::hex;
use crate::error::{Error, Result};
use crate::fast::{Instructions, Team};
use crate::files::{read_text, replace_file};
use crate::gpu::{Gpu, Recording};
use crate::known_bad::KnownBad;
use crate::network::Compiled;
use crate::ops::{self, ChooseKernel, KernelConfig, KernelForm, OperandSource, Tile};
use crate::plan::Pass;
use crate::table::{Align, Table};
use crate::text::toml_problem;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A pass with fewer multiplications and additions is over before a choice could matter.
const LEAST_FLOPS: u64 = 10_000_000;

/// The settings of each pass, by its label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelChoices {
    /// Of passes that are not listed.
    pub others: KernelConfig,
    /// Of these.
    #[serde(default)]
    pub passes: BTreeMap<String, KernelConfig>,
}

impl From<KernelConfig> for KernelChoices {
    fn from(others: KernelConfig) -> Self {
        KernelChoices { others, passes: BTreeMap::new() }
    }
}

impl ChooseKernel for KernelChoices {
    fn config(&self, label: &str) -> &KernelConfig {
        self.passes.get(label).unwrap_or(&self.others)
    }
}

impl KernelChoices {
    /// Reads the `tune.toml` of a run, or another file like it.
    pub fn read(path: &Path) -> Result<KernelChoices> {
        let text = read_text(path)?;
        KernelChoices::from_toml(&text).map_err(|problem| Error::file(path, problem))
    }

    /// The same from a file's text.
    pub fn from_toml(text: &str) -> Result<KernelChoices, String> {
        let choices: KernelChoices = toml::from_str(text).map_err(|error| toml_problem(&error))?;
        for (label, config) in choices.all() {
            config.validate().map_err(|problem| format!("{label}: {problem}"))?;
        }
        Ok(choices)
    }

    /// Each, with the label that it stands under.
    pub fn all(&self) -> impl Iterator<Item = (&str, &KernelConfig)> {
        let passes = self.passes.iter().map(|(label, config)| (label.as_str(), config));
        passes.chain([("others", &self.others)])
    }

    /// Writes them as a `tune.toml`.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self).map_err(|error| Error::file(path, error.to_string()))?;
        replace_file(path, |file| file.write_all(text.as_bytes()))
    }
}

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
pub struct Progress<'a> {
    /// Of [`Progress::candidates`], from 1.
    pub candidate: usize,
    /// All of all passes.
    pub candidates: usize,
    /// The pass.
    pub label: &'a str,
    /// What is tried.
    pub config: &'a KernelConfig,
}

/// What is known of a pass after tuning.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// The pass.
    pub label: String,
    /// Multiplications and additions.
    pub flops: u64,
    /// The choice, with all that was tried for it.
    pub entry: Entry,
    /// Whether the cache knew everything.
    pub cached: bool,
}

/// The best guess first, then what is worth trying on a device of this kind.
pub fn candidates(gpu: &Gpu) -> Vec<KernelConfig> {
    candidates_from(KernelConfig::of(gpu))
}

/// The same for any device for which these are the best guess.
pub fn candidates_from(seed: KernelConfig) -> Vec<KernelConfig> {
    let others: Vec<KernelConfig> = match seed.form {
        KernelForm::Subgroup | KernelForm::Sliding => {
            let lanes = seed.tile.down;
            let subgroup = |rows, columns32, busy_groups| {
                let tile = Tile::subgroup(lanes, rows, columns32);
                KernelConfig { form: KernelForm::Subgroup, tile, busy_groups, ..seed }
            };
            vec![
                KernelConfig { tile: Tile::sliding(lanes, 16, lanes / 4), ..seed },
                KernelConfig { tile: Tile::sliding(lanes, 8, lanes / 2), ..seed },
                subgroup(8, 1, 64),
                subgroup(4, 2, 64),
                subgroup(4, 2, 16),
                subgroup(8, 1, 16),
            ]
        }
        KernelForm::Register | KernelForm::Naive => {
            let tile = |rows, columns4| Tile { rows, columns4, ..seed.tile };
            vec![
                KernelConfig { tile: tile(16, 4), ..seed },
                KernelConfig { tile: tile(8, 2), ..seed },
                KernelConfig { tile: tile(8, 2), operands: OperandSource::Buffer, ..seed },
            ]
        }
        KernelForm::Staged => {
            let tile = |rows, columns4, across, down| Tile { rows, columns4, across, down };
            let register = KernelConfig { form: KernelForm::Register, tile: tile(4, 1, 8, 8), ..seed };
            vec![
                KernelConfig { tile: tile(8, 2, 16, 16), ..seed },
                KernelConfig { tile: tile(8, 2, 8, 8), ..seed },
                KernelConfig { tile: tile(4, 2, 8, 16), ..seed },
                KernelConfig { tile: tile(4, 1, 16, 16), ..seed },
                KernelConfig { tile: tile(4, 1, 8, 8), busy_groups: 2048, ..seed },
                register,
                KernelConfig { tile: tile(8, 2, 8, 8), ..register },
            ]
        }
    };
    std::iter::once(seed).chain(others).collect()
}

/// A pass on its way through the tuner.
struct Contest<'a> {
    pass: &'a Pass,
    key: String,
    /// Those that make different kernels of it.
    candidates: Vec<KernelConfig>,
    entry: Option<Entry>,
    /// Whether the cache knew everything.
    cached: bool,
    /// Longest that a candidate took, with compiling and comparing.
    took: Option<Duration>,
    /// Candidates that are known to be wrong on this device, and why.
    known_bad: Vec<(KernelConfig, String)>,
    /// What the reference says of the pass, once the CPU engine was found to be wrong in it.
    reference: Option<Outputs>,
}

impl Contest<'_> {
    fn knows(&self, config: &KernelConfig) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.knows(config))
    }

    /// Why a candidate is not even tried, if it is not.
    fn refusal(&self, config: &KernelConfig) -> Option<Verdict> {
        let known = self.known_bad.iter().find(|(known, _)| known == config);
        known.map(|(_, why)| Verdict::Wrong(why.clone()))
    }

    fn unknown(&self) -> usize {
        self.candidates.iter().filter(|config| !self.knows(config)).count()
    }
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
        /// The pass.
        label: String,
        /// The kernel.
        config: KernelConfig,
        /// Where it was wrong.
        why: String,
    },
    /// The CPU engine, with which candidates are compared first. The reference took its place, and no kernel was refused
    /// for it.
    CpuEngine {
        /// The pass.
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
        let mut contests = Vec::new();
        for pass in tunable(compiled, &guess)? {
            let (key, candidates) = distinct(compiled, pass, &candidates)?;
            let known_bad = refuse::known(cache.known_bad(), compiled, pass, &candidates)?;
            let mut entry = cache.get(&key).cloned();
            for (config, why) in &known_bad {
                if let Some(entry) = &mut entry {
                    entry.add(*config, Verdict::Wrong(why.clone()));
                }
            }
            let contest =
                Contest { pass, key, candidates, entry, cached: false, took: None, known_bad, reference: None };
            contests.push(Contest { cached: contest.unknown() == 0, ..contest });
        }
        // The most expensive first, and one candidate of each before the next: whenever the time is over, the best was
        // done.
        contests.sort_by_key(|contest| std::cmp::Reverse(contest.pass.op.flops()));
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
        progress: &mut dyn FnMut(Progress<'_>),
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
                progress(Progress { candidate: tried, candidates: total, label, config: &config });
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
                contest.entry.get_or_insert_with(|| Entry::new(&contest.pass.label, config)).add(config, verdict);
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

/// Everything that was tried, a line each.
pub fn table(tuned: &[Tuned]) -> String {
    use Align::{Left, Right};
    let mut table = Table::new(["pass", "kernel", "ms", "GFLOP/s", ""], [Left, Left, Right, Right, Left]);
    for Tuned { label, flops, entry, .. } in tuned {
        let mut label = label.clone();
        for (config, seconds) in &entry.tried {
            let chosen = if *config == entry.config { "chosen" } else { "" };
            let (ms, rate) = (seconds * 1e3, *flops as f64 / seconds / 1e9);
            let cells = [format!("{ms:.2}"), format!("{rate:.1}"), chosen.to_string()];
            let [ms, rate, chosen] = cells;
            table.row([std::mem::take(&mut label), config.to_string(), ms, rate, chosen]);
        }
        for (config, _) in &entry.refused {
            let [ms, rate] = ["–", "–"].map(String::from);
            table.row([std::mem::take(&mut label), config.to_string(), ms, rate, "refused".to_string()]);
        }
    }
    table.render()
}

/// The passes whose kernels there is a choice of.
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

/// What distinguishes a pass in the cache: its shape, and the text of every kernel that could be chosen. Not where its
/// tensors lie: the same layer in another network is the same pass. With it the candidates, without those that come to
/// the same kernels as one before them: a sum that is short is not split, however many groups there may be.
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
