//! What `--device cpu` does with a network here: a few training steps, timed once and remembered.
//!
//! Where the shaders run on a software driver anyway, the user should know what native code would give, and a figure of
//! another machine says little about this one.

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

/// About how long is measured.
const MEASURING: Duration = Duration::from_millis(250);

/// How long steps are left out before.
const WARMING: Duration = Duration::from_millis(50);

/// Images to train on, of a larger set: more than caches hold, and copied in no time.
const IMAGES: usize = 10_000;

/// How is measured. Figures of another method are not taken from the cache folder.
const METHOD: &str = "mean of steps on different images";

/// A first step that takes longer is the last: nobody is kept waiting for a figure.
const PATIENCE: Duration = Duration::from_millis(500);

/// Measured on this machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuSpeed {
    /// Images trained on a second, on all cores.
    pub images_per_second: f64,
    /// Whether it was known from another run.
    pub remembered: bool,
}

/// What the file in the cache folder holds of a network.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    network: String,
    batch: usize,
    cpu: String,
    images_per_second: f64,
}

/// The speed of training as [`crate::train::Trainer`] would with `options`: from the cache folder `cache`, or else measured
/// in about a third of a second, and kept there; without a folder nothing is kept. `None` where a step takes too long to try.
///
/// # Errors
///
/// Those of [`Trainer::run`].
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
    let step = TrainOptions { batch_size: batch, ..options.clone() }.compile_options();
    let version = env!("CARGO_PKG_VERSION");
    let key = Sha256::digest(format!("{METHOD} {version} {cpu} {step:?} {}", network.to_toml()));
    let key = hex(&key[..16]);
    if let Some(Entry { images_per_second, .. }) = kept.get(&key) {
        return Ok(Some(CpuSpeed { images_per_second: *images_per_second, remembered: true }));
    }
    let Some(images_per_second) = measure(&device, network, options, data)? else { return Ok(None) };
    kept.insert(key, Entry { network: network.name.clone(), batch, cpu, images_per_second });
    // Measured again the next time, that is all.
    let _ = kept.save();
    Ok(Some(CpuSpeed { images_per_second, remembered: false }))
}

/// Images a second as an epoch reports them ([`crate::train::EpochReport`]), so that both can be compared: the mean over
/// steps on different images, in submits of many steps, with their losses read back. The first steps, which meet fresh
/// memory, are left out.
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

/// Options that cost the same time, and whose run does not end or diverge before it is measured.
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

/// Images and seconds of steps, behind those that warm up.
#[derive(Default)]
struct Tally {
    /// Of all steps.
    seconds: f64,
    /// Of those that count.
    counted: f64,
    images: f64,
    /// The last report: epoch, images and seconds of it.
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

/// What the system calls the CPU: Linux alone says it in a file.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_string()
}
