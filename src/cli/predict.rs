//! `shadegrad predict`

use super::DeviceOption;
use super::run_folder::open_model;
use crate::cli::output::{errln, outln};
use clap::Args;
use shadegrad::Result;
use shadegrad::data::prepare::{ends_early, prepare};
use shadegrad::evaluate::Predictor;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    /// A run folder, or a .safetensors file of one
    run: PathBuf,
    /// PNG or JPEG, any size, dark on light or light on dark
    #[arg(required = true)]
    images: Vec<PathBuf>,
    #[command(flatten)]
    device: DeviceOption,
    /// Print one JSON object an image instead of bars
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let (network, weights) = open_model(&options.run)?;
    let prepared = options.images.iter().map(|path| prepare(path, network.input)).collect::<Result<Vec<_>>>()?;
    for path in &options.images {
        if ends_early(path)? {
            errln!("note: {}: the file ends early, and a part of the picture may be missing", path.display());
        }
    }
    let device = options.device.open(options.json)?;
    let mut predictor = Predictor::new(&device, &network, &weights)?;
    for (path, image) in options.images.iter().zip(&prepared) {
        let probabilities = pollster::block_on(predictor.predict(image))?;
        let best = (0..probabilities.len())
            .fold(0, |best, class| if probabilities[class] > probabilities[best] { class } else { best });
        if options.json {
            let path = path.display().to_string();
            outln!("{}", serde_json::json!({"image": path, "prediction": best, "probabilities": probabilities}))?;
        } else {
            outln!("{}: {best} ({:.1} %)", path.display(), probabilities[best] * 100.0)?;
            for (class, probability) in probabilities.iter().enumerate() {
                outln!("  {class:>3} {:<30} {:>5.1} %", bar(*probability), probability * 100.0)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A bar of at most 30 characters, in eighths.
fn bar(share: f32) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * 240.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}
