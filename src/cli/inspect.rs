//! `shadegrad summary` and `shadegrad plan`

use super::DeviceOption;
use clap::Args;
use shadegrad::Result;
use shadegrad::network::Network;
use std::process::ExitCode;

#[derive(Args)]
pub struct SummaryOptions {
    /// A preset (case1 … case6, lenet5, mlp) or a network file that ends in .toml
    model: String,
    /// Images a step
    #[arg(long, default_value_t = 100)]
    batch_size: usize,
}

#[derive(Args)]
pub struct PlanOptions {
    /// A preset (case1 … case6, lenet5, mlp) or a network file that ends in .toml
    model: String,
    /// Images a step
    #[arg(long, default_value_t = 100)]
    batch_size: usize,
    #[command(flatten)]
    device: DeviceOption,
}

pub fn summary(options: &SummaryOptions) -> Result<ExitCode> {
    let network = Network::open(&options.model)?;
    let _ = (&network, options.batch_size);
    Ok(ExitCode::SUCCESS)
}

pub fn plan(options: &PlanOptions) -> Result<ExitCode> {
    let network = Network::open(&options.model)?;
    let _ = (&network, options.batch_size, &options.device.device);
    Ok(ExitCode::SUCCESS)
}
