//! `shadegrad data`

use super::DataOption;
use super::output::{errln, grouped, outln};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use shadegrad::data::fetch::{MNIST_MIRRORS, Progress, fetch_mnist};
use shadegrad::data::{Dataset, MNIST_FOLDER, idx, sheet};
use shadegrad::files::check_place;
use shadegrad::ops::Step;
use shadegrad::ops::augment::{Augment, LARGEST_SIDE};
use shadegrad::{Error, Result};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Draw samples with their labels into a PNG
    Show(ShowOptions),
    /// Write a data set as the four files of the MNIST format, gzipped
    Export(ExportOptions),
    /// Download a data set
    Fetch(FetchOptions),
}

#[derive(Args)]
struct ShowOptions {
    #[command(flatten)]
    data: DataOption,
    /// Take the test set
    #[arg(long)]
    test: bool,
    /// How many samples
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Number of the first
    #[arg(long, default_value_t = 0)]
    first: usize,
    /// Samples in a row
    #[arg(long, default_value_t = 20)]
    columns: usize,
    /// Distort them as `train --augment` does
    #[arg(long, value_name = "AMOUNTS")]
    augment: Option<Augment>,
    /// The picture
    #[arg(long, value_name = "FILE.png", default_value = "samples.png")]
    out: PathBuf,
}

#[derive(Args)]
struct ExportOptions {
    #[command(flatten)]
    data: DataOption,
    /// The folder, made if need be
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

#[derive(Args)]
struct FetchOptions {
    /// Which
    name: Fetchable,
    /// The folder, made if need be
    #[arg(long, value_name = "DIR", default_value = MNIST_FOLDER)]
    to: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fetchable {
    /// 70,000 handwritten digits, 11.6 MB packed
    Mnist,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    match &options.command {
        Command::Show(options) => show(options)?,
        Command::Export(options) => export(options)?,
        Command::Fetch(options) => fetch(options)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(options: &ShowOptions) -> Result<()> {
    check_place(&options.out)?;
    let data = options.data.load(false)?;
    let set = if options.test { &data.test } else { &data.train };
    if options.first >= set.len() {
        return Err(Error::Usage(format!("--first {} is past the set's {} samples", options.first, set.len())));
    }
    let indices: Vec<usize> = (options.first..set.len()).take(options.count).collect();
    let picture = match &options.augment {
        None => sheet::contact_sheet(set, &indices, options.columns)?,
        Some(augment) => {
            let set = distorted(set, &indices, augment)?;
            sheet::contact_sheet(&set, &(0..set.len()).collect::<Vec<_>>(), options.columns)?
        }
    };
    sheet::save(&picture, &options.out)?;
    outln!("{} of {}: {} samples in {}", set.name(), data.source, indices.len(), options.out.display())?;
    Ok(())
}

/// These samples as a first step would have them.
fn distorted(set: &Dataset, indices: &[usize], augment: &Augment) -> Result<Dataset> {
    let [height, width, _] = set.shape();
    if height.max(width) > LARGEST_SIDE {
        return Err(Error::Usage(format!("--augment takes images of at most {LARGEST_SIDE} pixels a side")));
    }
    let step = Step { seed_low: 1, ..Step::default() };
    let image = |(row, index): (usize, &usize)| augment.image(set.image(*index), set.shape(), &step, row);
    let images = indices.iter().enumerate().flat_map(image).collect();
    let labels = indices.iter().map(|index| set.labels()[*index]).collect();
    Ok(Dataset::new(images, labels, set.shape(), set.classes())?.named(set.name()))
}

fn export(options: &ExportOptions) -> Result<()> {
    let data = options.data.load(false)?;
    idx::write_folder(&options.to, &data.train, &data.test)?;
    outln!(
        "{}: {} training and {} test images in {}",
        data.source,
        grouped(data.train.len() as u64),
        grouped(data.test.len() as u64),
        options.to.display()
    )?;
    Ok(())
}

fn fetch(options: &FetchOptions) -> Result<()> {
    let Fetchable::Mnist = options.name;
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{bar:28} {bytes}/{total_bytes}  {bytes_per_sec}") {
        bar.set_style(style.progress_chars("━╸ "));
    }
    let fetched = fetch_mnist(&options.to, &MNIST_MIRRORS, &mut |progress| match progress {
        Progress::Waiting(folder) => {
            bar.suspend(|| errln!("another process downloads into {}; waiting for it", folder.display()));
        }
        Progress::Kept(path) => bar.suspend(|| errln!("kept {}", path.display())),
        Progress::Started { url, have, total } => {
            bar.suspend(|| errln!("from {url}"));
            bar.set_length(total.unwrap_or(0));
            bar.set_position(have);
        }
        Progress::Advanced(bytes) => bar.inc(bytes),
        Progress::Failed { url, reason } => bar.suspend(|| errln!("{url}: {reason}")),
        Progress::Done(path) => bar.suspend(|| errln!("got {}", path.display())),
    });
    bar.finish_and_clear();
    let fetched = fetched?;
    outln!(
        "{} files in {}; train on them with: shadegrad train --data {}",
        fetched.len(),
        options.to.display(),
        options.to.display()
    )?;
    Ok(())
}
