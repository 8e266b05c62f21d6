//! `shadegrad evaluate`

use super::output::{confusion_table, grouped, percent};
use super::run_folder::open_model;
use super::{DataOption, DeviceOption};
use clap::Args;
use shadegrad::Result;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    /// A run folder, or a .safetensors file of one
    run: PathBuf,
    #[command(flatten)]
    data: DataOption,
    #[command(flatten)]
    device: DeviceOption,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let (network, weights) = open_model(&options.run)?;
    let data = options.data.load(options.json)?;
    let device = options.device.open(options.json)?;
    let evaluation = pollster::block_on(shadegrad::evaluate::evaluate(&device, &network, &weights, &data.test))?;
    if options.json {
        let classes: Vec<_> = (0..network.classes())
            .map(|class| serde_json::json!({"precision": evaluation.precision(class), "recall": evaluation.recall(class)}))
            .collect();
        let line = serde_json::json!({
            "network": network.name, "data": data.source, "images": evaluation.images(), "loss": evaluation.loss,
            "accuracy": evaluation.accuracy(), "classes": classes, "confusion": evaluation.confusion,
        });
        println!("{line}");
    } else {
        println!("network {} on the test set of {}", network.name, data.source);
        println!(
            "accuracy {} of {} images, loss {:.6}\n",
            percent(evaluation.accuracy()),
            grouped(evaluation.images()),
            evaluation.loss
        );
        print!("{}", confusion_table(&evaluation));
    }
    Ok(ExitCode::SUCCESS)
}
