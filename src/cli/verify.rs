//! `shadegrad verify`

use super::{BatchOption, DeviceOption, INTERRUPTED, stop_on_ctrl_c, verify_kernel};
use crate::cli::output::{errln, out, outln};
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
    device: DeviceOption,
    /// Also the passes of this network at its own shapes: a preset or a file that ends in .toml
    #[arg(long)]
    model: Option<String>,
    #[command(flatten)]
    batch: BatchOption,
    /// A few shapes of each pass, smaller batches of --model
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Ten times as many random shapes
    #[arg(long)]
    full: bool,
    /// Shapes drawn at random, over all passes, besides the listed edge cases. Unless given: 2000 with --device cpu, else
    /// 200; a quarter as many with --quick
    #[arg(long, value_name = "N")]
    random_shapes: Option<usize>,
    /// What the random shapes are drawn by; a new seed every time unless given. The report says which
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Nothing but this pass, shape or variant: conv2d, conv2d.forward, conv2d.forward:17, conv2d.forward:random17 (with
    /// --seed), conv2d.forward:17:3, training, exp
    #[arg(long, value_name = "PASS[:SHAPE[:VARIANT]]")]
    only: Option<Only>,
    /// Write what was found, for a driver's bug report: FILE.json and FILE.md
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Break kernels on purpose, and succeed if every break is noticed
    #[arg(long, conflicts_with_all = ["model", "quick", "full", "random_shapes", "seed", "only", "report"])]
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
    let open = |model: &String| {
        let network = Network::open(model)?;
        let step = options.batch.compile_options(&network)?;
        Ok::<_, Error>((network, step))
    };
    let model = options.model.as_ref().map(open).transpose()?;
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
    let report = pollster::block_on(verify::verify(&verification, &mut |progress| {
        show(&mut bar, progress.done, progress.total, progress.name);
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }))?;
    bar.clear();
    outln!("{}\n", report.device.description)?;
    out!("{}", report.text())?;
    match &options.report {
        Some(path) => {
            let [json, markdown] = report.save(path)?;
            outln!("the report is in {} and {}", json.display(), markdown.display())?;
        }
        None if report.failed() => outln!("--report FILE writes what a bug report to the driver's makers needs")?,
        None => {}
    }
    Ok(match (report.interrupted, report.failed()) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}

fn extent(options: &Options) -> Extent {
    match (options.quick, options.full) {
        (true, _) => Extent::Quick,
        (_, true) => Extent::Full,
        (false, false) => Extent::Standard,
    }
}

/// One that differs from run to run, short enough to be typed. The standard library has the system's randomness in the keys
/// of its hashes.
fn new_seed() -> u64 {
    RandomState::new().hash_one(0) % 1_000_000
}

/// The command, which does the same again.
fn command(options: &Options, seed: u64) -> String {
    let quick = if options.quick && options.model.is_none() { " --quick" } else { "" };
    let full = if options.full { " --full" } else { "" };
    let only = options.only.as_ref().map_or(String::new(), |only| format!(" --only {}", shell_word(&only.to_string())));
    let shapes = options.random_shapes.map_or(String::new(), |count| format!(" --random-shapes {count}"));
    format!("{}{quick}{full}{only}{shapes} --seed {seed}", repeat(options))
}

/// The command without what narrows it down.
fn repeat(options: &Options) -> String {
    let mut words = vec!["shadegrad verify --device".to_string(), shell_word(&options.device.choice().to_string())];
    if let Some(model) = &options.model {
        words.extend(["--model".into(), shell_word(model)]);
        let batch_size = options.batch.batch_size.iter();
        words.extend(batch_size.flat_map(|batch_size| ["--batch-size".into(), batch_size.to_string()]));
    }
    if options.quick && options.model.is_some() {
        // The quick batches have shapes of their own.
        words.push("--quick".into());
    }
    words.join(" ")
}

fn inject(device: &DeviceChoice) -> Result<ExitCode> {
    let mut bar = Bar::default();
    let injected =
        pollster::block_on(verify::inject(device, &mut |done, total, what| show(&mut bar, done, total, what)))?;
    bar.clear();
    out!("{}", injected_table(&injected))?;
    let unseen = injected.iter().filter(|injected| injected.seen.is_none()).count();
    if unseen > 0 {
        return Err(Error::Device(format!("{unseen} of {} breaks went unseen", injected.len())));
    }
    outln!("\nall {} breaks were seen", injected.len())?;
    Ok(ExitCode::SUCCESS)
}

/// Shows how far a verification has come: a bar on a terminal, one line elsewhere.
fn show(bar: &mut Bar, done: usize, total: usize, what: &str) {
    if done == 0 {
        *bar = Bar::new("{bar:30} {pos}/{len}  {msg}", true);
        bar.begin(total as u64, String::new);
        if !bar.is_shown() {
            errln!("verifying: {total} parts");
        }
    }
    bar.show(done as u64, || what.to_string());
}
