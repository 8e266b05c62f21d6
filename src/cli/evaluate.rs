//! `shadegrad evaluate`: evaluates a trained network on the test set.

use super::output::{errln, grouped, outln, percent, print_confusion};
use super::{DataOption, DeviceOption, TrainedOption};
use clap::Args;
use shadegrad::Result;
use shadegrad::files::{check_place, replace_file};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    trained: TrainedOption,
    #[command(flatten)]
    data: DataOption,
    #[command(flatten)]
    device: DeviceOption,
    /// Write the logits of every test image to a CSV file, one row per image
    #[arg(long, value_name = "FILE.csv")]
    logits: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    options.logits.as_deref().map_or(Ok(()), check_place)?;
    let (network, weights) = options.trained.open()?;
    let record = options.trained.record()?;
    let mut data = options.data.load_for(record.as_ref(), options.json)?;
    let remark = network.form.as_ref().and_then(|form| form.receive(&mut data.test));
    if let Some(remark) = remark.filter(|_| !options.json) {
        errln!("note: {remark}");
    }
    let device = options.device.open(options.json)?;
    let evaluation = pollster::block_on(shadegrad::evaluate::evaluate(&device, &network, &weights, &data.test))?;
    if let Some(path) = &options.logits {
        let logits = pollster::block_on(shadegrad::evaluate::logits(&device, &network, &weights, &data.test))?;
        write_logits(path, &logits, network.classes())?;
    }
    if options.json {
        let classes: Vec<_> = (0..network.classes())
            .map(|class| serde_json::json!({"precision": evaluation.precision(class), "recall": evaluation.recall(class)}))
            .collect();
        let line = serde_json::json!({
            "network": network.name, "data": data.source, "images": evaluation.images(), "loss": evaluation.loss,
            "accuracy": evaluation.accuracy(), "classes": classes, "confusion": evaluation.confusion,
        });
        outln!("{line}")?;
    } else {
        outln!("network {} on the test set of {}", network.name, data.source)?;
        outln!(
            "accuracy {} of {} images, loss {:.6}\n",
            percent(evaluation.accuracy()),
            grouped(evaluation.images()),
            evaluation.loss
        )?;
        print_confusion(&evaluation)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes logits as CSV. `{:?}` of an f32 is the shortest text that reads back as the same number.
fn write_logits(path: &Path, logits: &[f32], classes: usize) -> Result<()> {
    let row = |row: &[f32]| row.iter().map(|logit| format!("{logit:?}")).collect::<Vec<_>>().join(",") + "\n";
    let text: String = logits.chunks(classes).map(row).collect();
    replace_file(path, |file| file.write_all(text.as_bytes()))
}
