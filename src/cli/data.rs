//! `shadegrad data`: shows, exports and downloads data sets.

use super::output::{errln, grouped, outln};
use super::{DataOption, program};
use crate::cli::progress::Bar;
use clap::{Args, Subcommand, ValueEnum};
use shadegrad::data::fetch::{FetchProgress, MNIST_MIRRORS, fetch_mnist};
use shadegrad::data::{Dataset, MNIST_FOLDER, idx, sheet};
use shadegrad::ops::Step;
use shadegrad::ops::augment::{Augment, LARGEST_SIDE};
use shadegrad::text::shell_word;
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
    /// Draw samples with their labels to a PNG or JPEG file
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
    /// Show the test set
    #[arg(long)]
    test: bool,
    /// Number of samples
    #[arg(short = 'n', long, default_value_t = 100)]
    count: usize,
    /// Index of the first sample
    #[arg(long, default_value_t = 0)]
    first: usize,
    /// Samples per row
    #[arg(long, default_value_t = 20)]
    columns: usize,
    /// Distort the samples as `train --augment` does
    #[arg(long, value_name = "AMOUNTS")]
    augment: Option<Augment>,
    /// File to write: a PNG, or a JPEG if its name ends in .jpg
    #[arg(short, long, value_name = "FILE", default_value = "samples.png")]
    out: PathBuf,
}

#[derive(Args)]
struct ExportOptions {
    #[command(flatten)]
    data: DataOption,
    /// Folder to write to, created if necessary
    #[arg(short, long, alias = "to", value_name = "DIR")]
    out: PathBuf,
}

#[derive(Args)]
struct FetchOptions {
    /// Name of the data set
    name: Fetchable,
    /// Folder to write to, created if necessary
    #[arg(short, long, alias = "to", value_name = "DIR", default_value = MNIST_FOLDER)]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fetchable {
    /// 70,000 handwritten digits, 11.6 MB compressed
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
        return Err(Error::Usage(format!("--first {} is beyond the {} samples of the set", options.first, set.len())));
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

/// A note about the files to be replaced; empty if there are none.
fn replaced<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> String {
    match paths.into_iter().filter(|path| path.is_file()).count() {
        0 => String::new(),
        1 => ", replacing the file that was there".to_string(),
        count => format!(", replacing {count} files that were there"),
    }
}

/// The samples, distorted as in the first training step.
fn distorted(set: &Dataset, indices: &[usize], augment: &Augment) -> Result<Dataset> {
    let [height, width, _] = set.shape();
    if height.max(width) > LARGEST_SIDE {
        return Err(Error::Usage(format!("--augment takes images of at most {LARGEST_SIDE} pixels per side")));
    }
    let step = Step { seed_low: 1, ..Step::default() };
    let image = |(row, index): (usize, &usize)| augment.image(set.image(*index), set.shape(), &step, row);
    let images = indices.iter().enumerate().flat_map(image).collect();
    let labels = indices.iter().map(|index| set.labels()[*index]).collect();
    Ok(Dataset::new(images, labels, set.shape(), set.classes())?.named(set.name()))
}

fn export(options: &ExportOptions) -> Result<()> {
    let data = options.data.load(false)?;
    let replaced = replaced(&idx::files_of(&options.out));
    idx::write_folder(&options.out, &data.train, &data.test)?;
    outln!(
        "{}: {} training and {} test images in {}{replaced}",
        data.source,
        grouped(data.train.len() as u64),
        grouped(data.test.len() as u64),
        options.out.display()
    )?;
    Ok(())
}

fn fetch(options: &FetchOptions) -> Result<()> {
    let Fetchable::Mnist = options.name;
    let mut bar = Bar::new("{bar:28} {bytes}/{total_bytes}  {bytes_per_sec}", true);
    let fetched = fetch_mnist(&options.out, &MNIST_MIRRORS, &mut |progress| match progress {
        FetchProgress::Waiting(folder) => {
            bar.aside(|| errln!("another process is downloading into {}; waiting for it", folder.display()));
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
        "{} files in {}; train on them with: {} train case2 --data {}",
        fetched.len(),
        options.out.display(),
        program::name(),
        shell_word(&options.out.to_string_lossy())
    )?;
    Ok(())
}
