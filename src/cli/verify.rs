//! `shadegrad verify`: checks the kernels on a device against the reference.

use super::{BatchOption, DeviceOption, INTERRUPTED, ModelArgument, stop_on_ctrl_c, verify_kernel};
use crate::cli::output::{BAD, GOOD, errln, outln, print_page};
use crate::cli::progress::Bar;
use clap::Args;
use shadegrad::files::check_place;
use shadegrad::machine::{Device, DeviceChoice};
use shadegrad::network::Network;
use shadegrad::text::shell_word;
use shadegrad::verify::{self, Extent, Only, Report, injected_table};
use shadegrad::{Error, Result};
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    model: ModelArgument,
    #[command(flatten)]
    device: DeviceOption,
    #[command(flatten)]
    batch: BatchOption,
    /// Check a few shapes of each pass, and smaller batches of MODEL
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Check ten times as many random shapes
    #[arg(long)]
    full: bool,
    /// Number of random shapes, over all passes, in addition to the listed edge cases [default: 200, with --device cpu 2000]
    ///
    /// With --quick the default is a quarter of that, with --full ten times as many.
    #[arg(long, value_name = "N")]
    random_shapes: Option<usize>,
    /// Seed of the random shapes [default: a new one each time, which the report names]
    #[arg(short, long, value_name = "SEED")]
    seed: Option<u64>,
    /// Check only this pass, shape or variant
    ///
    /// For example conv2d, conv2d.forward, conv2d.forward:17, conv2d.forward:random17 (with --seed), conv2d.forward:17:3,
    /// training, exp.
    #[arg(long, value_name = "PASS[:SHAPE[:VARIANT]]")]
    only: Option<Only>,
    /// Write the findings to FILE.json and FILE.md, for a bug report to the driver's developers
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Fault injection: break kernels on purpose, and succeed if every fault is detected
    #[arg(long, conflicts_with_all = [
        "model", "named_model", "quick", "full", "random_shapes", "seed", "only", "report", "json",
    ])]
    inject: bool,
    #[command(flatten)]
    kernel: verify_kernel::Options,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let choice = options.device.choice();
    if options.inject {
        pollster::block_on(Device::require_driver(&choice, ""))?;
        return inject(&choice);
    }
    let seed = options.seed.unwrap_or_else(new_seed);
    if let Some(code) = options.kernel.run(&options.device, options.random_shapes, seed)? {
        return Ok(code);
    }
    let open = |model: &str| {
        let network = Network::open(model)?;
        let step = options.batch.compile_options(&network)?;
        Ok::<_, Error>((network, step))
    };
    let model = options.model.get().map(open).transpose()?;
    let verification = verify::VerifyOptions {
        device: options.device.choice(),
        extent: extent(options),
        model,
        only: options.only.clone(),
        random_shapes: options.random_shapes,
        seed,
        command: command(options, seed),
        repeat: repeat(options),
        cache: super::cache::folder(),
        tamper: None,
    };
    pollster::block_on(Device::require_driver(&choice, ", or check the CPU by --device cpu"))?;
    for path in options.report.iter().flat_map(|path| Report::paths(path)) {
        check_place(&path)?;
    }
    let stop = stop_on_ctrl_c();
    let mut bar = Bar::default();
    let quiet = options.json;
    let report = pollster::block_on(verify::verify(&verification, &mut |progress| {
        if !quiet {
            show(&mut bar, progress.done, progress.total, progress.name);
        }
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }))?;
    bar.clear();
    if quiet {
        outln!("{}", report.json()?)?;
    } else {
        outln!("{}\n", report.device.description)?;
        print_page(&report.text(), &RESULTS)?;
    }
    match &options.report {
        Some(path) => {
            let [json, markdown] = report.save(path)?;
            if !quiet {
                outln!("the report is in {} and {}", json.display(), markdown.display())?;
            }
        }
        None if report.failed() && !quiet => outln!("--report FILE writes a bug report for the driver's developers")?,
        None => {}
    }
    Ok(match (report.interrupted, report.failed()) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}

/// Words for results, and their styles.
const RESULTS: [(&str, anstyle::Style); 5] =
    [("FAIL", BAD), ("MISSED", BAD), ("pass", GOOD), ("known bad", GOOD), ("detected", GOOD)];

fn extent(options: &Options) -> Extent {
    match (options.quick, options.full) {
        (true, _) => Extent::Quick,
        (_, true) => Extent::Full,
        (false, false) => Extent::Standard,
    }
}

/// A seed that differs between runs and is short enough to type. The standard library draws the keys of its hashes from
/// the system's source of randomness.
fn new_seed() -> u64 {
    RandomState::new().hash_one(0) % 1_000_000
}

/// The command that repeats this verification.
fn command(options: &Options, seed: u64) -> String {
    let quick = if options.quick && options.model.get().is_none() { " --quick" } else { "" };
    let full = if options.full { " --full" } else { "" };
    let only = options.only.as_ref().map_or(String::new(), |only| format!(" --only {}", shell_word(&only.to_string())));
    let shapes = options.random_shapes.map_or(String::new(), |count| format!(" --random-shapes {count}"));
    format!("{}{quick}{full}{only}{shapes} --seed {seed}", repeat(options))
}

/// The command without the options that narrow it down.
fn repeat(options: &Options) -> String {
    let mut words = vec!["shadegrad verify".to_string()];
    words.extend(options.model.get().map(shell_word));
    words.extend(["--device".into(), shell_word(&options.device.choice().to_string())]);
    if options.model.get().is_some() {
        let batch_size = options.batch.batch_size.iter();
        words.extend(batch_size.flat_map(|batch_size| ["--batch-size".into(), batch_size.to_string()]));
    }
    if options.quick && options.model.get().is_some() {
        // The quick batches have other shapes.
        words.push("--quick".into());
    }
    words.join(" ")
}

fn inject(device: &DeviceChoice) -> Result<ExitCode> {
    let mut bar = Bar::default();
    let injected =
        pollster::block_on(verify::inject(device, &mut |done, total, what| show(&mut bar, done, total, what)))?;
    bar.clear();
    print_page(&injected_table(&injected).into(), &RESULTS)?;
    let unseen = injected.iter().filter(|injected| injected.seen.is_none()).count();
    if unseen > 0 {
        return Err(Error::Device(format!("{unseen} of {} faults were not detected", injected.len())));
    }
    outln!("\nall {} faults were detected", injected.len())?;
    Ok(ExitCode::SUCCESS)
}

/// Shows the progress of a verification.
fn show(bar: &mut Bar, done: usize, total: usize, what: &str) {
    if done == 0 {
        *bar = Bar::new("{bar:24} {pos}/{len}  {wide_msg}", true);
        bar.begin(total as u64, String::new);
        if !bar.is_shown() {
            errln!("verifying: {total} parts");
        }
    }
    bar.show(done as u64, || what.to_string());
}
