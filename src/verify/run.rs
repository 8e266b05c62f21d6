//! The walk over all operations, shapes, operands and variants.

use super::draw::Draw;
use super::expected::Finding;
use super::functions::functions;
use super::launch::{Launch, variants};
use super::report::{DeviceRecord, Failure, Report, Row};
use super::{Check, training};
use crate::clock::{self, Instant};
use crate::error::{Error, Result};
use crate::fast::{Instructions, Team};
use crate::gpu::Recording;
use crate::known_bad::{Entry, KnownBad};
use crate::machine::{Device, DeviceChoice};
use crate::network::{CompileOptions, Network};
use crate::ops::{self, KernelConfig, Op};
use crate::plan::Pass;
use std::collections::BTreeMap;
use std::fmt;
use std::num::ParseIntError;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The first three edge cases of each pass, in the variants that the tuner may choose, and few random shapes.
    Quick,
    /// All edge cases, in those variants and in every form with small tiles, and some random shapes.
    Standard,
    /// The same with ten times as many random shapes.
    Full,
}

/// Shapes of a pass that stand for all of them.
const QUICK: usize = 3;

/// Numbers that a function is tried on, by extent.
const SWEPT: [usize; 3] = [1 << 16, 1 << 20, 1 << 20];

/// Multiplications and additions of a network's largest pass in a quick verification, which takes smaller batches for it:
/// the reference computes some hundred million a second.
const QUICK_FLOPS: u64 = 100_000_000;

/// Shapes drawn at random by default, by extent: the CPU is done with them in seconds, a driver compiles a kernel for each.
const RANDOM_ON_CPU: [usize; 3] = [500, 2000, 20_000];
const RANDOM_ON_DRIVER: [usize; 3] = [50, 200, 2000];

/// Threads of the CPU whose results must have the same bits.
const THREADS: [usize; 3] = [1, 2, 5];

/// Which shape of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// By its number in the list of edge cases: `17`.
    Listed(usize),
    /// By its number among those drawn by a seed: `random17`.
    Random(usize),
}

impl FromStr for Shape {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Shape, ParseIntError> {
        match text.strip_prefix("random") {
            Some(number) => number.parse().map(Shape::Random),
            None => text.parse().map(Shape::Listed),
        }
    }
}

impl fmt::Display for Shape {
    /// As it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Listed(number) => write!(f, "{number}"),
            Shape::Random(number) => write!(f, "random{number}"),
        }
    }
}

/// A part of everything: `conv2d`, `conv2d.forward`, `conv2d.forward:17` (a shape), `conv2d.forward:random17` (one of those
/// drawn by the seed), `conv2d.forward:17:3` (a variant), `training`, `exp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Only {
    name: String,
    shape: Option<Shape>,
    variant: Option<usize>,
}

impl FromStr for Only {
    type Err = String;

    fn from_str(text: &str) -> Result<Only, String> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default().to_string();
        let shape = parts.next().map(str::parse).transpose();
        let variant = parts.next().map(str::parse).transpose();
        match (shape, variant, parts.next()) {
            (Ok(shape), Ok(variant), None) if !name.is_empty() => Ok(Only { name, shape, variant }),
            _ => Err(format!("expected PASS, PASS:SHAPE or PASS:SHAPE:VARIANT as `verify` prints it, got `{text}`")),
        }
    }
}

impl fmt::Display for Only {
    /// As it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.shape.iter().try_for_each(|shape| write!(f, ":{shape}"))?;
        self.variant.iter().try_for_each(|variant| write!(f, ":{variant}"))
    }
}

impl Only {
    /// Whether it is about something of this name: itself, or the room that it is in.
    fn takes(&self, name: &str) -> bool {
        name.strip_prefix(&self.name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
    }
}

/// What is to be verified.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where.
    pub device: DeviceChoice,
    /// How much.
    pub extent: Extent,
    /// A network whose passes are verified at their own shapes, when it is trained so.
    pub model: Option<(Network, CompileOptions)>,
    /// Nothing but this.
    pub only: Option<Only>,
    /// Shapes drawn at random besides the listed ones, over all passes; as many as suit the device and the extent if not
    /// given.
    pub random_shapes: Option<usize>,
    /// What they are drawn by.
    pub seed: u64,
    /// The command that does this.
    pub command: String,
    /// The command that does the same, without what narrows it down: commands that repeat a case begin with it.
    pub repeat: String,
    /// The folder of the tuner's cache, where the list of what was found to be wrong lies.
    pub cache: Option<PathBuf>,
    /// What is done to all dispatches of cases before they run: nothing, unless failures are to be seen.
    pub tamper: Option<fn(&mut Recording)>,
}

/// Where a verification is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Of [`Progress::total`], from 0.
    pub done: usize,
    /// Operations with a shape, the training, functions.
    pub total: usize,
    /// What is next.
    pub name: &'a str,
}

/// An operation at a shape.
struct Item {
    /// `conv2d.forward`, or `case1/conv1.forward`.
    name: String,
    shape: Shape,
    op: Box<dyn Op>,
}

impl Item {
    /// Whether the options ask for it.
    fn is_wanted(&self, only: Option<&Only>) -> bool {
        only.is_none_or(|only| only.takes(&self.name) && only.shape.is_none_or(|shape| shape == self.shape))
    }
}

/// Verifies. `observer` is asked before each shape; what was done by then is in the report.
pub async fn verify(options: &Options, observer: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>) -> Result<Report> {
    let started = Instant::now();
    let mut side = VerifySession::open(options).await?;
    let (mut items, mut notes) = listed(options)?;
    items.extend(random(options, side.random_shapes()));
    items.retain(|item| item.is_wanted(options.only.as_ref()));
    let random_shapes = items.iter().filter(|item| matches!(item.shape, Shape::Random(_))).count();
    let named = |name: &str| options.only.as_ref().is_none_or(|only| only.takes(name));
    let functions: Vec<_> = functions().into_iter().filter(|f| side.device.gpu().is_some() && named(f.name)).collect();
    let trains = named("training");
    if items.is_empty() && functions.is_empty() && !trains {
        let only = options.only.as_ref().map_or("", |only| &only.name);
        return Err(Error::Usage(format!("nothing to verify on this device is called `{only}`")));
    }
    let device = DeviceRecord::of(&side.device);
    // That there is no GPU, and this is the CPU.
    notes.extend(side.device.notice.clone().filter(|_| side.device.gpu().is_none()));
    let mut book = Results { options, known: side.known.clone(), rows: Vec::new(), launches: BTreeMap::new() };
    let mut sweeps = Vec::new();
    let total = items.len() + usize::from(trains) + functions.len();
    let mut done = 0;
    let mut go_on = |name: &str| {
        done += 1;
        observer(Progress { done: done - 1, total, name }).is_continue()
    };
    let interrupted = 'walk: {
        for item in &items {
            if !go_on(&item.name) {
                break 'walk true;
            }
            side.verify(item, &mut book).await?;
        }
        if trains {
            if !go_on("training") {
                break 'walk true;
            }
            for task in training::tasks() {
                let outcome = task.check(&side.device, &task.steps()).await;
                let failed = matches!(outcome, Err(Finding::Device(_)));
                book.enter(("training", task.name), None, outcome, (task.network, "spots"), "training".into());
                if failed {
                    side.reopen().await?;
                }
            }
        }
        for function in &functions {
            if !go_on(function.name) {
                break 'walk true;
            }
            let Some(gpu) = side.device.gpu() else { continue };
            match function.sweep(gpu, SWEPT[options.extent as usize]).await {
                Ok(sweep) => sweeps.push(sweep),
                Err(error) => {
                    sweeps.push(function.failed(&error));
                    side.reopen().await?;
                }
            }
        }
        false
    };
    notes.extend(book.notes());
    if let (Some(gpu), Some(folder)) = (side.device.gpu(), &options.cache) {
        // A verification of everything says also what is right again.
        let whole = options.extent != Extent::Quick && options.only.is_none() && !interrupted;
        let found: Vec<Entry> = book.found().map(|(launch, why)| Entry::found(gpu, launch, why.to_string())).collect();
        let cleared: Vec<Launch> = if whole { book.right().cloned().collect() } else { Vec::new() };
        if KnownBad::remember(folder, gpu, &found, &cleared)? {
            let path = KnownBad::path(folder);
            notes.push(format!("what the tuner is to refuse on this device has changed, in {}", path.display()));
        }
    }
    Ok(Report {
        shadegrad: env!("CARGO_PKG_VERSION"),
        wgpu: wgpu_version(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        started: clock::now_text(),
        command: options.command.clone(),
        device,
        rows: book.sorted(),
        functions: sweeps,
        random_shapes,
        seed: options.seed,
        notes,
        interrupted,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// The version that this program is locked to.
fn wgpu_version() -> &'static str {
    let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"));
    let version = lock.split_once("name = \"wgpu\"\nversion = \"").and_then(|(_, rest)| rest.split_once('"'));
    version.map_or("unknown", |(version, _)| version)
}

/// Passes at shapes drawn at random: `count` of them, or the one that is asked for.
fn random(options: &Options, count: usize) -> Vec<Item> {
    let item = |(number, op): (usize, Box<dyn Op>)| {
        let name = op.name().to_string();
        Item { name, shape: Shape::Random(number), op }
    };
    match options.only.as_ref().and_then(|only| only.shape) {
        Some(Shape::Random(number)) => ops::drawn_at(options.seed, number).map(|op| item((number, op))).collect(),
        Some(Shape::Listed(_)) => Vec::new(),
        None => ops::drawn(options.seed, count).map(item).collect(),
    }
}

/// Every edge case, and the passes of a network, in the order in which they are verified, and what should be said of them.
fn listed(options: &Options) -> Result<(Vec<Item>, Vec<String>)> {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut items = Vec::new();
    for op in ops::edge_cases() {
        let count = counts.entry(op.name()).or_default();
        // A part of everything is taken from everything.
        if options.extent != Extent::Quick || options.only.is_some() || *count < QUICK {
            items.push(Item { name: op.name().to_string(), shape: Shape::Listed(*count), op });
        }
        *count += 1;
    }
    let mut notes = Vec::new();
    if let Some((network, step)) = &options.model {
        let (passes, taken) = passes(network, step, options.extent)?;
        if taken < step.batch {
            notes.push(format!("{} with batches of {taken} only, to be quick", network.name));
        }
        let of = |pass: Pass| Item {
            name: format!("{}/{}", network.name, pass.label),
            shape: Shape::Listed(0),
            op: pass.op,
        };
        items.extend(passes.into_iter().map(of));
    }
    Ok((items, notes))
}

/// The passes of a training step, and the batch that they are for.
fn passes(network: &Network, step: &CompileOptions, extent: Extent) -> Result<(Vec<Pass>, usize)> {
    let compile = |batch| network.compile(&CompileOptions { batch, train_images: 2 * batch, ..step.clone() });
    let mut taken = step.batch;
    let mut compiled = compile(taken)?;
    let most = compiled.train.iter().map(|pass| pass.op.flops()).max().unwrap_or(0);
    if extent == Extent::Quick && most > QUICK_FLOPS {
        taken = ((taken as u64 * QUICK_FLOPS / most) as usize).max(1);
        compiled = compile(taken)?;
    }
    Ok((compiled.train, taken))
}

/// What runs the cases.
struct VerifySession<'a> {
    options: &'a Options,
    device: Device,
    known: KnownBad,
    variants: Vec<KernelConfig>,
    /// By instructions, one for each number of threads.
    teams: Vec<(&'static str, Vec<Arc<Team>>)>,
}

impl<'a> VerifySession<'a> {
    async fn open(options: &'a Options) -> Result<VerifySession<'a>> {
        if options.device == DeviceChoice::Reference {
            let problem = "the reference is what others are verified against; take another device";
            return Err(Error::Usage(problem.into()));
        }
        let device = Device::open(&options.device).await?;
        let (mut known, mut all, mut teams) = (KnownBad::default(), Vec::new(), Vec::new());
        if let Some(gpu) = device.gpu() {
            known = KnownBad::open(options.cache.as_deref(), gpu)?;
            // A part of everything is taken from everything.
            all = variants(gpu, if options.only.is_some() { Extent::Full } else { options.extent });
        } else {
            for instructions in Instructions::all() {
                let team = |threads| Team::new(Some(threads), instructions).map(Arc::new);
                teams.push((instructions.name(), THREADS.into_iter().map(team).collect::<Result<Vec<_>>>()?));
            }
        }
        Ok(VerifySession { options, device, known, variants: all, teams })
    }

    /// How many shapes are drawn at random.
    fn random_shapes(&self) -> usize {
        let of_device = if self.device.gpu().is_some() { RANDOM_ON_DRIVER } else { RANDOM_ON_CPU };
        self.options.random_shapes.unwrap_or(of_device[self.options.extent as usize])
    }

    /// Those of an item's variants that are to be run; `number` is what `--only` calls one.
    fn wanted<T>(&self, item: &Item, mut variants: Vec<T>, number: impl Fn(&T) -> usize) -> Vec<T> {
        let asked_for = self.options.only.as_ref().and_then(|only| only.variant);
        match (asked_for, item.shape) {
            (Some(variant), _) => variants.retain(|one| number(one) == variant),
            (None, Shape::Random(shape)) if !variants.is_empty() => {
                let name = format!("variant of {}", item.name);
                let one = Draw::new(self.options.seed, &name, shape).below(variants.len());
                variants = vec![variants.swap_remove(one)];
            }
            (None, _) => {}
        }
        variants
    }

    /// After a failure of the device, which it reports for ever after.
    async fn reopen(&mut self) -> Result<()> {
        self.device = Device::open(&self.options.device).await?;
        Ok(())
    }

    /// One operation at its shape, with all of its operands: a listed one in every variant, a random one in a random one.
    async fn verify(&mut self, item: &Item, book: &mut Results<'_>) -> Result<()> {
        let checks = item.op.checks();
        let Some(first) = checks.first() else { return Ok(()) };
        for (variant, recording) in self.wanted(item, distinct(first, &self.variants)?, |(at, _)| *at) {
            let launch = Launch::of(&recording);
            for check in &checks {
                let Some(gpu) = self.device.gpu() else { continue };
                let mut recording = recording.clone();
                self.options.tamper.iter().for_each(|tamper| tamper(&mut recording));
                let outcome = check.case.on_gpu(gpu, recording).await;
                let outcome = outcome.and_then(|outputs| check.expected.judge(&outputs));
                let failed = matches!(outcome, Err(Finding::Device(_)));
                let of = (launch.kernel.as_str(), launch.variant.as_str());
                book.case(of, Some(&launch), outcome, item, check, variant);
                if failed {
                    self.reopen().await?;
                }
            }
        }
        let teams = self.teams.iter().enumerate().collect();
        for (variant, (instructions, teams)) in self.wanted(item, teams, |(at, _)| *at) {
            for check in &checks {
                book.case((&item.name, instructions), None, on_cpu(check, teams), item, check, variant);
            }
        }
        Ok(())
    }
}

/// The variants in which the pass becomes different dispatches, with these.
fn distinct(check: &Check, variants: &[KernelConfig]) -> Result<Vec<(usize, Recording)>> {
    let mut distinct: Vec<(usize, Recording)> = Vec::new();
    for (variant, config) in variants.iter().enumerate() {
        let recording = check.case.recording(config)?;
        if !distinct.iter().any(|(_, known)| known.does_the_same(&recording)) {
            distinct.push((variant, recording));
        }
    }
    Ok(distinct)
}

/// With every number of threads, each twice.
fn on_cpu(check: &Check, teams: &[Arc<Team>]) -> Result<f64, Finding> {
    let mut outputs = teams.iter().flat_map(|team| [team, team]).map(|team| check.case.on_cpu(team));
    let Some(first) = outputs.next().transpose()? else { return Ok(0.0) };
    for other in outputs {
        let other = other?;
        if let Some((one, _)) = first.iter().zip(&other).find(|(one, other)| one.bits != other.bits) {
            return Err(Finding::Threads(one.name.to_string()));
        }
    }
    check.expected.judge(&first)
}

/// What was found so far.
struct Results<'a> {
    options: &'a Options,
    known: KnownBad,
    rows: Vec<Row>,
    /// By kernel, variant and text: the first thing that was wrong with it.
    launches: BTreeMap<String, (Launch, Option<String>)>,
}

impl Results<'_> {
    fn case(
        &mut self,
        of: (&str, &str),
        launch: Option<&Launch>,
        outcome: Result<f64, Finding>,
        item: &Item,
        check: &Check,
        variant: usize,
    ) {
        let seed = match item.shape {
            Shape::Random(_) => format!(" --seed {}", self.options.seed),
            Shape::Listed(_) => String::new(),
        };
        let only = format!("{}:{}:{variant}{seed}", item.name, item.shape);
        self.enter(of, launch, outcome, (&format!("{:?}", item.op), check.what), only);
    }

    /// Enters what came of a case in the row of its kernel and variant.
    fn enter(
        &mut self,
        (kernel, variant): (&str, &str),
        launch: Option<&Launch>,
        outcome: Result<f64, Finding>,
        (operation, operands): (&str, &str),
        only: String,
    ) {
        let index = match self.rows.iter().position(|row| row.kernel == kernel && row.variant == variant) {
            Some(index) => index,
            None => {
                let known_bad = launch.and_then(|launch| self.known.judged(launch)).map(|entry| entry.reason.clone());
                let (kernel, variant) = (kernel.to_string(), variant.to_string());
                self.rows.push(Row { kernel, variant, cases: 0, worst: 0.0, failures: Vec::new(), known_bad });
                self.rows.len() - 1
            }
        };
        let row = &mut self.rows[index];
        row.cases += 1;
        let finding = match outcome {
            Ok(worst) => {
                row.worst = row.worst.max(worst);
                None
            }
            Err(finding) => {
                let finding = finding.to_string();
                let repeat = format!("{} --only {only}", self.options.repeat);
                let (operation, operands) = (operation.to_string(), operands.to_string());
                row.failures.push(Failure { operation, operands, finding: finding.clone(), repeat });
                Some(finding)
            }
        };
        if let Some(launch) = launch {
            let key = format!("{launch}, {}", launch.sources);
            let (_, wrong) = self.launches.entry(key).or_insert_with(|| (launch.clone(), None));
            *wrong = wrong.take().or(finding);
        }
    }

    /// What is wrong, and nobody has judged it before.
    fn found(&self) -> impl Iterator<Item = (&Launch, &str)> {
        let wrong = self.launches.values().filter_map(|(launch, why)| Some((launch, why.as_deref()?)));
        wrong.filter(|(launch, _)| self.known.judged(launch).is_none())
    }

    /// What passed all of its cases.
    fn right(&self) -> impl Iterator<Item = &Launch> {
        self.launches.values().filter(|(_, wrong)| wrong.is_none()).map(|(launch, _)| launch)
    }

    /// Of what was expected to fail and did not.
    fn notes(&self) -> Vec<String> {
        let passed = self.rows.iter().filter(|row| row.failures.is_empty());
        let note = |row: &Row| {
            let reason = row.known_bad.as_ref()?;
            Some(format!("{} {} passes, though it is known to be wrong: {reason}", row.kernel, row.variant))
        };
        passed.filter_map(note).collect()
    }

    /// The rows of a kernel together, kernels as they came.
    fn sorted(&self) -> Vec<Row> {
        let first = |row: &Row| self.rows.iter().position(|other| other.kernel == row.kernel);
        let mut rows = self.rows.clone();
        rows.sort_by_key(first);
        rows
    }
}
