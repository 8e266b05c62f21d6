//! `shadegrad bench`: how fast networks train on the devices of this machine, and where a step spends its time.
//!
//! Each measurement of a comparison runs in a separate process (`one`, a hidden subcommand), so that it has its own
//! start-up time and peak memory. The data is noise: the cost of a step does not depend on what it learns.

mod compare;
mod kernels;
mod one;
mod report;
mod system;

use clap::{Args, Subcommand};
use rand::Rng;
use shadegrad::data::{DataPair, Dataset};
use shadegrad::network::Network;
use shadegrad::train::{Schedule, TrainOptions};
use shadegrad::{Error, Result};
use std::process::ExitCode;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, allow_negative_numbers = true)]
pub struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    compare: compare::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Time, arithmetic and memory traffic of each dispatch of a training step, beside the device's ceilings
    Kernels(kernels::Options),
    /// One measurement, as a line of JSON
    #[command(hide = true)]
    One(one::Options),
}

pub fn run(options: &Options) -> Result<ExitCode> {
    match &options.command {
        None => compare::run(&options.compare),
        Some(Command::Kernels(options)) => kernels::run(options),
        Some(Command::One(options)) => one::run(options),
    }
}

/// Options for training a network with its usual work per step, but without an end, and at a learning rate so low that
/// training on noise stays stable.
fn train_options(network: &Network, batch: usize) -> Result<TrainOptions> {
    check_batch(batch)?;
    Ok(TrainOptions {
        batch_size: batch,
        learning_rate: 1e-6,
        epochs: usize::MAX,
        schedule: Schedule::Constant,
        warmup: None,
        patience: None,
        ..network.recipe.complete()?
    })
}

fn check_batch(batch: usize) -> Result<()> {
    if (1..=65_536).contains(&batch) {
        return Ok(());
    }
    Err(Error::Usage(format!("--batch-size must be from 1 to 65536, got {batch}")))
}

/// Largest number of training images: as many as MNIST has.
const MOST_IMAGES: usize = 60_000;
/// Largest size of the training images, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// A training set of noise in whole batches, at least two, and a test set of one batch.
fn noise(network: &Network, batch: usize) -> Result<DataPair> {
    let [height, width, channels] = network.input;
    let size = height * width * channels;
    let batches = (MOST_IMAGES.min(MOST_BYTES / size) / batch).max(2);
    let set = |name: &str, images: usize, stream: u64| {
        let mut dice = rand_pcg::Pcg64Dxsm::new(1, stream.into());
        let mut bytes = vec![0; images * size];
        dice.fill_bytes(&mut bytes);
        // Labels are bytes; outputs for further classes do the same work.
        let classes = network.classes().min(256);
        let labels = (0..images).map(|image| (image % classes) as u8).collect();
        Ok::<_, Error>(Dataset::new(bytes, labels, network.input, classes)?.named(name))
    };
    let (train, test) = (set("train", batches * batch, 1)?, set("test", batch, 2)?);
    Ok(DataPair { train, test, source: "noise".to_string() })
}
