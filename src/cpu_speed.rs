//! The training speed of `--device cpu` on this machine: a few training steps, timed once and cached.
//!
//! Where the shaders run on a software driver anyway, the user should know how fast native code would be, and figures
//! from another machine say little about this one.

use crate::data::{DataPair, hex};
use crate::error::Result;
use crate::fast::Instructions;
use crate::kept::Kept;
use crate::machine::Device;
use crate::network::Network;
use crate::train::{Event, Schedule, StepsReport, TrainOptions, Trainer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

/// Approximate duration of the measurement.
const MEASURING: Duration = Duration::from_millis(250);

/// Duration of the warm-up steps, which do not count.
const WARMING: Duration = Duration::from_millis(50);

/// Number of images of a larger set to train on: more than the CPU's caches hold, yet quick to copy.
const IMAGES: usize = 10_000;

/// Name of the method, part of the cache key: figures measured by another method are not reused.
const METHOD: &str = "mean of steps on different images";

/// The measurement is abandoned after a first step that takes longer, so that nobody has to wait for it.
const PATIENCE: Duration = Duration::from_millis(500);

/// Training speed of the CPU engine on this machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuSpeed {
    /// Training images per second, on all cores.
    pub images_per_second: f64,
    /// Whether the figure comes from the cache.
    pub remembered: bool,
}

/// Cache entry of a network.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    network: String,
    batch: usize,
    cpu: String,
    images_per_second: f64,
}

/// The speed at which [`crate::train::Trainer`] would train with `options` on the CPU. It is read from the folder
/// `cache`, or else measured in about a third of a second and cached there; without a folder nothing is cached. `None`
/// if a step takes too long to measure.
///
/// # Errors
///
/// The errors of [`Trainer::run`].
pub fn cpu_speed(
    cache: Option<&Path>,
    network: &Network,
    options: &TrainOptions,
    data: &DataPair,
) -> Result<Option<CpuSpeed>> {
    let device = Device::cpu(None, Instructions::best(), None)?;
    let batch = options.batch_size.min(data.train.len());
    let cpu = format!("{}, {}", processor(), device.description);
    let mut kept = Kept::open(cache.map(|folder| folder.join("cpu-speed.json")), |entry: &Entry| {
        entry.images_per_second.is_finite() && entry.images_per_second > 0.0
    });
    let step = TrainOptions { batch_size: batch, accumulate: options.accumulate.min(batch), ..options.clone() };
    let step = step.compile_options(network);
    let version = env!("CARGO_PKG_VERSION");
    let key = Sha256::digest(format!("{METHOD} {version} {cpu} {step:?} {}", network.to_toml()));
    let key = hex(&key[..16]);
    if let Some(Entry { images_per_second, .. }) = kept.get(&key) {
        return Ok(Some(CpuSpeed { images_per_second: *images_per_second, remembered: true }));
    }
    let Some(images_per_second) = measure(&device, network, options, data)? else { return Ok(None) };
    kept.insert(key, Entry { network: network.name.clone(), batch, cpu, images_per_second });
    // If saving fails, the next call measures again.
    let _ = kept.save();
    Ok(Some(CpuSpeed { images_per_second, remembered: false }))
}

/// Images per second, measured as in an epoch's report ([`crate::train::EpochReport`]) so that the two can be compared:
/// the mean over steps on different images, in submits of many steps, including the time to read back losses. The first
/// steps, which touch memory for the first time, do not count.
fn measure(device: &Device, network: &Network, options: &TrainOptions, data: &DataPair) -> Result<Option<f64>> {
    let few = DataPair { train: data.train.first(IMAGES), test: data.test.first(1), source: String::new() };
    let mut trainer = Trainer::new(device, network, &few, steady(options), None)?;
    let start = Instant::now();
    let (mut tally, mut is_slow) = (Tally::default(), false);
    pollster::block_on(trainer.run(&mut |event| {
        let Event::Steps(report) = event else { return Ok(ControlFlow::Continue(())) };
        is_slow = tally.seconds == 0.0 && start.elapsed() > PATIENCE;
        tally.add(&report, options.batch_size, few.train.len());
        let is_done = is_slow || tally.counted > MEASURING.as_secs_f64();
        Ok(if is_done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }))?;
    Ok((!is_slow && tally.counted > 0.0).then(|| tally.images / tally.counted))
}

/// Options whose steps take the same time, with a run that neither ends nor diverges before it is measured.
fn steady(options: &TrainOptions) -> TrainOptions {
    TrainOptions {
        epochs: 1_000_000,
        learning_rate: 1e-6,
        schedule: Schedule::Constant,
        warmup: None,
        max_steps: None,
        patience: None,
        every_step: false,
        checkpoint_every: None,
        find_nan: false,
        ..options.clone()
    }
}

/// Images and seconds of the steps after the warm-up.
#[derive(Default)]
struct Tally {
    /// Seconds of all steps, including the warm-up.
    seconds: f64,
    /// Seconds of the steps that count.
    counted: f64,
    /// Images of the steps that count.
    images: f64,
    /// The last report: its epoch, and the images and seconds since the start of that epoch.
    last: (usize, f64, f64),
}

impl Tally {
    fn add(&mut self, report: &StepsReport<'_>, batch: usize, set: usize) {
        let images = (report.done * batch).min(set) as f64;
        let seconds = images / report.images_per_second;
        let (epoch, images_before, seconds_before) = self.last;
        let is_same = report.epoch == epoch;
        let (new, took) = if is_same { (images - images_before, seconds - seconds_before) } else { (images, seconds) };
        if self.seconds > WARMING.as_secs_f64() {
            self.counted += took;
            self.images += new;
        }
        self.seconds += took;
        self.last = (report.epoch, images, seconds);
    }
}

/// The CPU's model name, which only Linux provides in a file; elsewhere its architecture.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_string()
}
