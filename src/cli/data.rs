//! `shadegrad data`

use super::DataOption;
use super::output::{errln, grouped, outln};
use crate::cli::progress::Bar;
use clap::{Args, Subcommand, ValueEnum};
use shadegrad::data::fetch::{FetchProgress, MNIST_MIRRORS, fetch_mnist};
use shadegrad::data::{Dataset, MNIST_FOLDER, idx, sheet};
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
    /// Draw samples with their labels into a PNG or JPEG
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
    /// The picture: a PNG, or a JPEG if the name ends in .jpg
    #[arg(long, value_name = "FILE", default_value = "samples.png")]
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
    sheet::check_path(&options.out)?;
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
    let replaced = replaced([&options.out]);
    sheet::save(&picture, &options.out)?;
    outln!("{} of {}: {} samples in {}{replaced}", set.name(), data.source, indices.len(), options.out.display())?;
    Ok(())
}

/// What is said of the regular files that are about to be replaced: nothing where there are none.
fn replaced<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> String {
    match paths.into_iter().filter(|path| path.is_file()).count() {
        0 => String::new(),
        1 => ", in place of the file that was there".to_string(),
        count => format!(", in place of {count} files that were there"),
    }
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
    let replaced = replaced(&idx::files_of(&options.to));
    idx::write_folder(&options.to, &data.train, &data.test)?;
    outln!(
        "{}: {} training and {} test images in {}{replaced}",
        data.source,
        grouped(data.train.len() as u64),
        grouped(data.test.len() as u64),
        options.to.display()
    )?;
    Ok(())
}

fn fetch(options: &FetchOptions) -> Result<()> {
    let Fetchable::Mnist = options.name;
    let mut bar = Bar::new("{bar:28} {bytes}/{total_bytes}  {bytes_per_sec}", true);
    let fetched = fetch_mnist(&options.to, &MNIST_MIRRORS, &mut |progress| match progress {
        FetchProgress::Waiting(folder) => {
            bar.aside(|| errln!("another process downloads into {}; waiting for it", folder.display()));
        }
        FetchProgress::Kept(path) => bar.aside(|| errln!("kept {}", path.display())),
        FetchProgress::Started { url, have, total } => {
            bar.aside(|| errln!("from {url}"));
            bar.begin(total.unwrap_or(0), String::new);
            bar.advance(have);
        }
        FetchProgress::Advanced(bytes) => bar.advance(bytes),
        FetchProgress::Failed { url, reason } => bar.aside(|| errln!("{url}: {reason}")),
        FetchProgress::Done(path) => bar.aside(|| errln!("got {}", path.display())),
    });
    bar.clear();
    let fetched = fetched?;
    outln!(
        "{} files in {}; train on them with: shadegrad train --data {}",
        fetched.len(),
        options.to.display(),
        options.to.display()
    )?;
    Ok(())
}
