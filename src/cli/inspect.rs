//! `shadegrad summary` and `shadegrad plan`: what a network and its training step consist of.

use super::{BatchOption, DeviceOption, RequiredModel};
use crate::cli::output::{outln, print_page};
use clap::Args;
use shadegrad::Result;
use shadegrad::network::CompileOptions;
use std::process::ExitCode;

#[derive(Args)]
pub struct SummaryOptions {
    #[command(flatten)]
    model: RequiredModel,
    #[command(flatten)]
    batch: BatchOption,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct PlanOptions {
    #[command(flatten)]
    model: RequiredModel,
    #[command(flatten)]
    batch: BatchOption,
    /// Number of training images
    #[arg(long, default_value_t = 60_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    images: usize,
    #[command(flatten)]
    device: DeviceOption,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub fn summary(options: &SummaryOptions) -> Result<ExitCode> {
    let network = options.model.open()?;
    let step = options.batch.compile_options(&network)?;
    match options.json {
        true => outln!("{}", network.summary_json(&step)?)?,
        false => print_page(&network.summary(&step)?, &[])?,
    }
    Ok(ExitCode::SUCCESS)
}

pub fn plan(options: &PlanOptions) -> Result<ExitCode> {
    let network = options.model.open()?;
    let device = options.device.open(true)?;
    let step = options.batch.compile_options(&network)?;
    let batch = step.batch;
    let compiled = network.compile(&CompileOptions { train_images: options.images, ..step })?;
    if options.json {
        let dispatches = match device.gpu() {
            Some(_) => compiled.listing_json(&compiled.train, device.choices())?,
            None => compiled.cpu_listing_json(&compiled.train),
        };
        let step = serde_json::json!({
            "network": network.name, "batch_size": batch, "device": device.description, "step": dispatches,
        });
        outln!("{step}")?;
        return Ok(ExitCode::SUCCESS);
    }
    outln!("training step of {}, batches of {batch}, on {}\n", network.name, device.description)?;
    let page = match device.gpu() {
        Some(_) => compiled.listing(&compiled.train, device.choices())?,
        None => compiled.cpu_listing(&compiled.train),
    };
    print_page(&page, &[])?;
    Ok(ExitCode::SUCCESS)
}
