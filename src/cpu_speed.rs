//! What `--device cpu` does with a network here: a few training steps, timed once and remembered.
//!
//! Where the shaders run on a software driver anyway, the user should know what native code would give, and a figure of
//! another machine says little about this one.

use crate::data::{DataPair, Dataset, hex};
use crate::error::Result;
use crate::fast::Instructions;
use crate::kept::{self, Kept};
use crate::machine::{Device, Machine, Section};
use crate::memory;
use crate::network::Network;
use crate::ops::Step;
use crate::train::TrainOptions;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::{Duration, Instant};

/// About how long is measured.
const MEASURING: Duration = Duration::from_millis(250);

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

/// The speed of training as [`crate::train::Trainer`] would with `options`: from the cache folder, or else measured in
/// about a quarter of a second, and kept there. Nothing where a step takes too long to try.
pub fn cpu_speed(network: &Network, options: &TrainOptions, data: &DataPair) -> Result<Option<CpuSpeed>> {
    cpu_speed_in(kept::folder().as_deref(), network, options, data)
}

/// The same with another folder; without one nothing is kept.
pub fn cpu_speed_in(
    folder: Option<&Path>,
    network: &Network,
    options: &TrainOptions,
    data: &DataPair,
) -> Result<Option<CpuSpeed>> {
    let device = Device::cpu(None, Instructions::best(), None)?;
    let batch = options.batch_size.min(data.train.len());
    let cpu = format!("{}, {}", processor(), device.description);
    let mut kept = Kept::open(folder.map(|folder| folder.join("cpu-speed.json")), |entry: &Entry| {
        entry.images_per_second.is_finite() && entry.images_per_second > 0.0
    });
    let key = Sha256::digest(format!("{} {cpu} {batch} {}", env!("CARGO_PKG_VERSION"), network.to_toml()));
    let key = hex(&key[..16]);
    if let Some(Entry { images_per_second, .. }) = kept.get(&key) {
        return Ok(Some(CpuSpeed { images_per_second: *images_per_second, remembered: true }));
    }
    let Some(images_per_second) = measure(&device, network, options, data, batch)? else { return Ok(None) };
    kept.insert(key, Entry { network: network.name.clone(), batch, cpu, images_per_second });
    // Measured again the next time, that is all.
    let _ = kept.save();
    Ok(Some(CpuSpeed { images_per_second, remembered: false }))
}

/// The fastest of some steps, in images a second: whatever else goes on in the machine can only add to their time. The
/// first one, which meets fresh memory, is left out.
fn measure(
    device: &Device,
    network: &Network,
    options: &TrainOptions,
    data: &DataPair,
    batch: usize,
) -> Result<Option<f64>> {
    let few = DataPair { train: first(&data.train, batch), test: first(&data.test, 1), source: String::new() };
    let mut machine = Machine::new(device, options.compile(network, &few)?)?;
    let Some(train) = machine.compiled.tensors.train else { return Ok(None) };
    memory::check_room(network.weight_bytes(), "the initial weights")?;
    machine.write_weights(&network.initialize(options.seed));
    machine.load_set(&train, &few.train);
    let steps = Step::epoch(batch, batch, 0, options.seed, options.learning_rate);
    let start = Instant::now();
    machine.run(Section::Train, &steps)?;
    let mut best = f64::INFINITY;
    while start.elapsed() < if best.is_finite() { MEASURING } else { PATIENCE } {
        let start = Instant::now();
        machine.run(Section::Train, &steps)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best.is_finite().then(|| batch as f64 / best))
}

/// The first images of a set.
fn first(set: &Dataset, count: usize) -> Dataset {
    let count = count.min(set.len());
    let size: usize = set.image_shape.iter().product();
    let (images, labels) = (set.images[..count * size].to_vec(), set.labels[..count].to_vec());
    Dataset { name: set.name.clone(), images, labels, ..*set }
}

/// What the system calls the CPU: Linux alone says it in a file.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_string()
}
