//! `shadegrad predict`: recognizes the digits in pictures.

use super::{DeviceOption, TrainedOption};
use crate::cli::output::{errln, outln};
use clap::Args;
use serde_json::json;
use shadegrad::data::form::Form;
use shadegrad::data::prepare::{ends_early, prepare, prepare_from};
use shadegrad::evaluate::Predictor;
use shadegrad::network::Network;
use shadegrad::{Error, Result};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    trained: TrainedOption,
    /// PNG or JPEG files, of any size, dark on light or light on dark
    #[arg(value_name = "PICTURE", required_unless_present = "sample")]
    images: Vec<PathBuf>,
    /// Predict a handwritten seven that comes with the program
    #[arg(long)]
    sample: bool,
    /// Only scale the pictures: they look like the training images already, and no character is searched for in them
    #[arg(long)]
    as_is: bool,
    #[command(flatten)]
    device: DeviceOption,
    /// Print one JSON object per picture instead of text
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let (network, weights) = options.trained.open()?;
    let form = if options.as_is { network.picture_form().as_is() } else { network.picture_form() };
    let mut names = options.images.clone();
    let mut prepared =
        options.images.iter().map(|path| prepare(path, network.input, &form)).collect::<Result<Vec<_>>>()?;
    if options.sample {
        names.push(SAMPLE_NAME.into());
        prepared.push(sample(network.input, &form)?);
    }
    for path in &options.images {
        if ends_early(path)? {
            errln!("note: {}: the file ends early, and a part of the picture may be missing", path.display());
        }
    }
    let device = options.device.open(options.json)?;
    if !options.json {
        errln!("pictures: {form}{}", origin(&network, options.as_is));
    }
    let mut predictor = Predictor::new(&device, &network, &weights)?;
    for (path, probabilities) in names.iter().zip(predict(&mut predictor, &names, &prepared)?) {
        let best = (0..probabilities.len())
            .fold(0, |best, class| if probabilities[class] > probabilities[best] { class } else { best });
        if options.json {
            let path = path.display().to_string();
            let form = form.to_string();
            let answer = json!({"image": path, "prediction": best, "probabilities": probabilities, "form": form});
            outln!("{answer}")?;
        } else {
            outln!("{}: {best} ({:.1} %)", path.display(), probabilities[best] * 100.0)?;
            for (class, probability) in probabilities.iter().enumerate() {
                outln!("  {class:>3} {:<30} {:>5.1} %", bar(*probability), probability * 100.0)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A digit that is available on every machine.
const SAMPLE: &[u8] = include_bytes!("../../assets/digits/seven.png");
/// The name of the sample, in place of a path.
const SAMPLE_NAME: &str = "the sample (a seven)";

fn sample(shape: [usize; 3], form: &Form) -> Result<Vec<u8>> {
    prepare_from(Cursor::new(SAMPLE), Path::new(SAMPLE_NAME), shape, form)
}

/// The probabilities for each picture; several pictures are predicted together.
fn predict(predictor: &mut Predictor, paths: &[PathBuf], images: &[Vec<u8>]) -> Result<Vec<Vec<f32>>> {
    if images.len() > 1 {
        match predictor.predict_batch_blocking(images) {
            // One by one, the picture can be named in the error.
            Err(Error::NotFinite(_)) => {}
            done => return done,
        }
    }
    let one = |(path, image): (&PathBuf, &Vec<u8>)| {
        predictor.predict_blocking(image).map_err(|error| match error {
            Error::NotFinite(problem) => Error::NotFinite(format!("{}: {problem}", path.display())),
            other => other,
        })
    };
    paths.iter().zip(images).map(one).collect()
}

/// Describes where the form of the pictures comes from.
fn origin(network: &Network, as_is: bool) -> &'static str {
    match (&network.form, as_is) {
        (_, true) => "",
        (Some(_), false) => ", like the training images",
        (None, false) => ", like MNIST: the file does not say how the training images look",
    }
}

/// A bar of at most 30 characters, in eighths.
fn bar(share: f32) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * 240.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}
