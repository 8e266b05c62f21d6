//! `shadegrad summary` and `shadegrad plan`

use super::{BatchOption, DeviceOption};
use crate::cli::output::{out, outln};
use clap::Args;
use shadegrad::Result;
use shadegrad::network::{CompileOptions, Network};
use std::process::ExitCode;

#[derive(Args)]
pub struct SummaryOptions {
    #[arg(help = crate::cli::model_help())]
    model: String,
    #[command(flatten)]
    batch: BatchOption,
}

#[derive(Args)]
pub struct PlanOptions {
    #[arg(help = crate::cli::model_help())]
    model: String,
    #[command(flatten)]
    batch: BatchOption,
    /// Images of the training set
    #[arg(long, default_value_t = 60_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    images: usize,
    #[command(flatten)]
    device: DeviceOption,
}

pub fn summary(options: &SummaryOptions) -> Result<ExitCode> {
    let network = Network::open(&options.model)?;
    let step = options.batch.compile_options(&network)?;
    out!("{}", network.summary(&step)?)?;
    Ok(ExitCode::SUCCESS)
}

pub fn plan(options: &PlanOptions) -> Result<ExitCode> {
    let network = Network::open(&options.model)?;
    let device = options.device.open(true)?;
    let step = options.batch.compile_options(&network)?;
    let batch = step.batch;
    let compiled = network.compile(&CompileOptions { train_images: options.images, ..step })?;
    outln!("training step of {}, batches of {batch}, on {}\n", network.name, device.description)?;
    match device.gpu() {
        Some(_) => out!("{}", compiled.listing(&compiled.train, device.choices())?)?,
        None => out!("{}", compiled.cpu_listing(&compiled.train))?,
    }
    Ok(ExitCode::SUCCESS)
}
