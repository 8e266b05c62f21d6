//! `shadegrad summary` and `shadegrad plan`

use super::{DeviceOption, train};
use crate::cli::output::{out, outln};
use clap::Args;
use shadegrad::Result;
use shadegrad::network::{CompileOptions, Network};
use shadegrad::train::TrainOptions;
use std::process::ExitCode;

#[derive(Args)]
pub struct SummaryOptions {
    #[arg(help = crate::cli::model_help())]
    model: String,
    /// Images a step
    #[arg(long, default_value_t = 100)]
    batch_size: usize,
}

#[derive(Args)]
pub struct PlanOptions {
    #[arg(help = crate::cli::model_help())]
    model: String,
    /// Images a step
    #[arg(long, default_value_t = 100)]
    batch_size: usize,
    /// Images of the training set
    #[arg(long, default_value_t = 60_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    images: usize,
    #[command(flatten)]
    device: DeviceOption,
}

pub fn summary(options: &SummaryOptions) -> Result<ExitCode> {
    let network = Network::open(&options.model)?;
    train::check_recipe(&network.recipe)?;
    out!("{}", network.summary(options.batch_size)?)?;
    Ok(ExitCode::SUCCESS)
}

pub fn plan(options: &PlanOptions) -> Result<ExitCode> {
    let network = Network::open(&options.model)?;
    let device = options.device.open(true)?;
    let compiled = network.compile(&CompileOptions {
        batch: options.batch_size,
        train_images: options.images,
        momentum: TrainOptions::default().momentum,
        ..CompileOptions::default()
    })?;
    outln!("training step of {}, batches of {}, on {}\n", network.name, options.batch_size, device.description)?;
    out!("{}", compiled.listing(&compiled.train, device.choices())?)?;
    Ok(ExitCode::SUCCESS)
}
