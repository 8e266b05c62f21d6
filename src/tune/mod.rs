//! Which kernels are fastest here: a handful of candidates for each matrix pass, tried on the device itself.
//!
//! A candidate ([`Settings`]: form, tile, operands, split) is run on small whole numbers, whose sums are exact in any
//! order, and must give the bits of the naive kernel before its time counts. One that is known to be wrong here
//! ([`KnownBad`](crate::known_bad::KnownBad)) is not even tried. What was found is kept in the user's cache
//! folder ([`Cache`]) by adapter, driver, shape and shader text; the choices of a run are a small file ([`Choices`]) that
//! another run can be pinned to: other tiles add in another order, so equal bits need equal choices.

mod cache;
mod refuse;
mod trial;

pub use cache::{Cache, Entry};
pub use trial::{Trial, Verdict};

use crate::data::replace_file;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Recording};
use crate::network::Compiled;
use crate::ops::{self, Choose, Form, OperandSource, Settings, Tile};
use crate::plan::Pass;
use crate::table::{Align, Table};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// A pass with fewer multiplications and additions is over before a choice could matter.
const LEAST_FLOPS: u64 = 10_000_000;

/// The settings of each pass, by its label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choices {
    /// Of passes that are not listed.
    pub others: Settings,
    /// Of these.
    #[serde(default)]
    pub passes: BTreeMap<String, Settings>,
}

impl From<Settings> for Choices {
    fn from(others: Settings) -> Self {
        Choices { others, passes: BTreeMap::new() }
    }
}

impl Choose for Choices {
    fn settings(&self, label: &str) -> &Settings {
        self.passes.get(label).unwrap_or(&self.others)
    }
}

impl Choices {
    /// Reads the `tune.toml` of a run, or another file like it.
    pub fn read(path: &Path) -> Result<Choices> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let choices: Choices = toml::from_str(&text).map_err(|error| Error::file(path, error.to_string()))?;
        for (label, settings) in choices.all() {
            settings.validate().map_err(|problem| Error::file(path, format!("{label}: {problem}")))?;
        }
        Ok(choices)
    }

    /// Each, with the label that it stands under.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Settings)> {
        let passes = self.passes.iter().map(|(label, settings)| (label.as_str(), settings));
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
    /// Candidates that the cache does not know, until this time is over; then the best so far is kept, and the next time
    /// goes on from there. Without any time, what the cache knows is taken.
    Within(Duration),
    /// Every candidate of every pass, whatever the cache knows.
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
    pub settings: &'a Settings,
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
    /// Whether it was in the cache.
    pub cached: bool,
}

/// The best guess first, then what is worth trying on a device of this kind.
pub fn candidates(gpu: &Gpu) -> Vec<Settings> {
    let seed = Settings::of(gpu);
    let others: Vec<Settings> = match seed.form {
        Form::Subgroup => {
            let lanes = seed.tile.down;
            vec![
                Settings { tile: Tile::subgroup(lanes, 4, 2), ..seed },
                Settings { tile: Tile::subgroup(lanes, 4, 2), busy_groups: 16, ..seed },
                Settings { busy_groups: 16, ..seed },
                Settings { tile: Tile::subgroup(lanes, 4, 1), ..seed },
            ]
        }
        Form::Register | Form::Naive => {
            let tile = |rows, columns4| Tile { rows, columns4, ..seed.tile };
            vec![
                Settings { tile: tile(16, 4), ..seed },
                Settings { tile: tile(8, 2), ..seed },
                Settings { tile: tile(8, 2), operands: OperandSource::Buffer, ..seed },
            ]
        }
        Form::Staged => {
            let tile = |rows, columns4, across, down| Tile { rows, columns4, across, down };
            let register = Settings { form: Form::Register, tile: tile(4, 1, 8, 8), ..seed };
            vec![
                Settings { tile: tile(8, 2, 16, 16), ..seed },
                Settings { tile: tile(8, 2, 8, 8), ..seed },
                Settings { tile: tile(4, 2, 8, 16), ..seed },
                Settings { tile: tile(4, 1, 16, 16), ..seed },
                Settings { tile: tile(4, 1, 8, 8), busy_groups: 2048, ..seed },
                register,
                Settings { tile: tile(8, 2, 8, 8), ..register },
            ]
        }
    };
    std::iter::once(seed).chain(others).collect()
}

/// A pass on its way through the tuner.
struct Contest<'a> {
    pass: &'a Pass,
    key: String,
    trial: Option<Trial<'a>>,
    entry: Option<Entry>,
    /// Whether nothing is left to be tried.
    cached: bool,
}

/// Finds the choices for every tunable pass of a network: from the cache, and by trying. Wrong candidates are named in
/// the entries and never chosen; passes of which nothing is known keep the best guess for the device.
pub async fn tune(
    gpu: &Gpu,
    compiled: &Compiled,
    cache: &mut Cache,
    effort: Effort,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(Choices, Vec<Tuned>)> {
    let started = Instant::now();
    let candidates = candidates(gpu);
    let mut contests = Vec::new();
    for pass in tunable(compiled, &candidates[0])? {
        let key = key(compiled, pass, &candidates)?;
        let mut entry = if effort == Effort::Full { None } else { cache.get(&key).cloned() };
        if let Some(entry) = &mut entry {
            for settings in &candidates {
                if let Some(why) = refuse::refusal(cache.known_bad(), compiled, pass, settings)? {
                    entry.add(*settings, Verdict::Wrong(why));
                }
            }
        }
        let cached = entry.as_ref().is_some_and(|entry| candidates.iter().all(|settings| entry.knows(settings)));
        contests.push(Contest { pass, cached, key, trial: None, entry });
    }
    // The most expensive first, and one candidate of each before the next: whenever the time is over, the best was done.
    contests.sort_by_key(|contest| std::cmp::Reverse(contest.pass.op.flops()));
    // Twice where there is time: a machine that is busy for a moment must not decide.
    let rounds = if effort == Effort::Full { 2 } else { 1 };
    let known = |contest: &Contest<'_>, settings: &Settings| {
        rounds == 1 && contest.entry.as_ref().is_some_and(|entry| entry.knows(settings))
    };
    let waiting = |contest: &Contest<'_>| candidates.iter().filter(|settings| !known(contest, settings)).count();
    let total = rounds * contests.iter().map(waiting).sum::<usize>();
    let over = |started: Instant| match effort {
        Effort::Within(limit) => started.elapsed() >= limit,
        Effort::Full => false,
    };
    let mut tried = 0;
    'rounds: for settings in (0..rounds).flat_map(|_| &candidates) {
        for contest in contests.iter_mut() {
            if known(contest, settings) {
                continue;
            }
            if over(started) {
                break 'rounds;
            }
            tried += 1;
            let label = &contest.pass.label;
            progress(Progress { candidate: tried, candidates: total, label, settings });
            let verdict = match refuse::refusal(cache.known_bad(), compiled, contest.pass, settings)? {
                Some(why) => Verdict::Wrong(why),
                None => {
                    let trial = match &mut contest.trial {
                        Some(trial) => trial,
                        none => none.insert(Trial::new(gpu, compiled, contest.pass).await?),
                    };
                    trial.run(settings).await?
                }
            };
            contest.entry.get_or_insert_with(|| Entry::new(label, *settings)).add(*settings, verdict);
        }
    }
    let mut choices = Choices::from(candidates[0]);
    let mut tuned = Vec::new();
    for contest in contests {
        let Some(entry) = contest.entry else { continue };
        if !contest.cached {
            cache.insert(contest.key, entry.clone());
        }
        choices.passes.insert(contest.pass.label.clone(), entry.settings);
        let Contest { pass, cached, .. } = contest;
        tuned.push(Tuned { label: pass.label.clone(), flops: pass.op.flops(), entry, cached });
    }
    refuse::avoid(cache.known_bad(), compiled, &candidates, &mut choices)?;
    Ok((choices, tuned))
}

/// Everything that was tried, a line each.
pub fn table(tuned: &[Tuned]) -> String {
    use Align::{Left, Right};
    let mut table = Table::new(["pass", "kernel", "ms", "GFLOP/s", ""], [Left, Left, Right, Right, Left]);
    for Tuned { label, flops, entry, .. } in tuned {
        let mut label = label.clone();
        for (settings, seconds) in &entry.tried {
            let chosen = if *settings == entry.settings { "chosen" } else { "" };
            let (ms, rate) = (seconds * 1e3, *flops as f64 / seconds / 1e9);
            let cells = [format!("{ms:.2}"), format!("{rate:.1}"), chosen.to_string()];
            let [ms, rate, chosen] = cells;
            table.row([std::mem::take(&mut label), settings.to_string(), ms, rate, chosen]);
        }
        for (settings, _) in &entry.refused {
            let [ms, rate] = ["–", "–"].map(String::from);
            table.row([std::mem::take(&mut label), settings.to_string(), ms, rate, "refused".to_string()]);
        }
    }
    table.render()
}

/// The passes whose kernels there is a choice of.
fn tunable<'a>(compiled: &'a Compiled, seed: &Settings) -> Result<Vec<&'a Pass>> {
    let mut found = Vec::new();
    for pass in compiled.train.iter().filter(|pass| pass.op.flops() >= LEAST_FLOPS) {
        let mut recording = Recording::new();
        ops::record(&compiled.plan, pass, seed, &mut recording)?;
        let engine = |path: &str| path.starts_with("shaders/shared/matrix_") && !path.ends_with("reduce.wgsl");
        if recording.dispatches().any(|d| d.kernel.sources.iter().any(|source| engine(source.path))) {
            found.push(pass);
        }
    }
    Ok(found)
}

/// What distinguishes a pass in the cache: its shape, and the text of every kernel that could be chosen. Not where its
/// tensors lie: the same layer in another network is the same pass.
fn key(compiled: &Compiled, pass: &Pass, candidates: &[Settings]) -> Result<String> {
    let plan = trial::alone(&compiled.plan, pass);
    let mut hash = Sha256::new();
    hash.update(format!("{:?}", pass.op));
    for settings in candidates {
        let mut recording = Recording::new();
        ops::record(&plan, pass, settings, &mut recording)?;
        for dispatch in recording.dispatches() {
            hash.update(dispatch.kernel.text()?);
            hash.update(format!("{:?}", dispatch.groups));
        }
    }
    Ok(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}
