//! `shadegrad bench`: measures each model on each device in turns, each time in a separate process.

use super::check_batch;
use super::one::Measured;
use super::report::{self, Row};
use crate::cli::output::{BAD, errln, outln, print_page};
use crate::cli::progress::PULSE;
use crate::cli::tune::TuneOption;
use crate::cli::{INTERRUPTED, stop_on_ctrl_c};
use clap::Args;
use shadegrad::gpu::{AdapterRecord, adapter, adapters, missing_driver_remedy};
use shadegrad::machine::DeviceChoice;
use shadegrad::network::Network;
use shadegrad::{Error, Result};
use std::io::{IsTerminal, Read};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

// Without a group of its own, whose name would be that of the options that these are among.
#[derive(Args)]
#[group(skip)]
pub struct Options {
    #[arg(value_name = "MODEL", help = format!("{} [default: case1 case2]", crate::cli::model_help()))]
    models: Vec<String>,
    #[arg(long = "model", value_name = "MODEL", hide = true, conflicts_with = "models")]
    named: Vec<String>,
    /// Devices to compare: all, or a list separated by commas; the others are compared with the first
    ///
    /// `all` is every adapter of `shadegrad devices`, then the CPU. A list takes what --device takes in other commands: cpu,
    /// cpu:4, reference, auto, numbers, parts of names.
    #[arg(short = 'D', long = "device", alias = "devices", value_name = "all|LIST", default_value = "all")]
    devices: String,
    /// Seconds of steady training per measurement; a longer step is measured whole
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    seconds: f64,
    /// Number of measurements of each network on each device, taken in turns
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeats: usize,
    /// Images per step
    #[arg(short, long = "batch-size", alias = "batch", value_name = "N", default_value_t = 100)]
    batch: usize,
    #[command(flatten)]
    tune: TuneOption,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// A device to be measured.
#[derive(Clone, Debug)]
pub struct Target {
    /// The device as `--device` accepts it.
    choice: String,
    /// The name to display.
    pub name: String,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    check(options)?;
    let given = [&options.models[..], &options.named].concat();
    let models = if given.is_empty() { vec!["case1".into(), "case2".into()] } else { given };
    for model in &models {
        Network::open(model)?;
    }
    let targets = targets(&options.devices)?;
    let mut rows: Vec<Row> =
        models.iter().flat_map(|model| targets.iter().map(|target| Row::new(model.clone(), target.clone()))).collect();
    let stop = stop_on_ctrl_c();
    for repeat in 1..=options.repeats {
        for row in &mut rows {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let measured = match measure(row, options, &stop) {
                Ok(Some(measured)) => Ok(measured),
                Ok(None) => break,
                Err(problem) => Err(problem),
            };
            if !options.json {
                errln!("{repeat}/{}  {}", options.repeats, row.progress(&measured));
            }
            row.add(measured);
        }
    }
    if options.json {
        outln!("{}", report::json(&rows, options.seconds, options.repeats, options.batch))?;
    } else {
        print_page(&report::page(&rows), &[("failed", BAD)])?;
    }
    for row in &rows {
        if let Some(problem) = row.problem() {
            errln!("error: {} on {}: {problem}", row.model, row.target.name);
        }
    }
    Ok(if stop.load(Ordering::Relaxed) {
        errln!("interrupted; the figures are from the measurements that had finished");
        ExitCode::from(INTERRUPTED)
    } else if rows.iter().any(|row| row.problem().is_some()) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Checks that every value is in its range; the message names the option.
fn check(options: &Options) -> Result<()> {
    let expect = |fine: bool, what: &str, got: &dyn std::fmt::Display| {
        if fine { Ok(()) } else { Err(Error::Usage(format!("{what}, got {got}"))) }
    };
    let seconds = options.seconds;
    expect(seconds > 0.0 && seconds <= 3600.0, "--seconds must be above 0 and at most 3600", &seconds)?;
    expect((1..=1000).contains(&options.repeats), "--repeats must be from 1 to 1000", &options.repeats)?;
    check_batch(options.batch)
}

/// The devices of `--device`. Adapters are identified by their number from here on, so that every child process opens
/// the same one.
fn targets(list: &str) -> Result<Vec<Target>> {
    let native = |choice: DeviceChoice| Target { choice: choice.to_string(), name: choice.to_string() };
    // With the backend, because an adapter may be listed once per backend.
    let gpu = |record: &AdapterRecord| Target {
        choice: record.index.to_string(),
        name: format!("{}, {}", record.info.name, record.info.backend),
    };
    if list.trim() == "all" {
        let found = pollster::block_on(adapters());
        if found.is_empty() {
            errln!("note: no GPU driver found, so the CPU is measured alone; {}", missing_driver_remedy());
        }
        return Ok(found.iter().map(gpu).chain([native(DeviceChoice::Cpu(None))]).collect());
    }
    let target = |item: &str| {
        let choice: DeviceChoice = item.parse().map_err(|_| {
            Error::Usage(format!(
                "--device {list}: a name is empty; give all, or cpu, reference, auto, numbers or names"
            ))
        })?;
        let DeviceChoice::Adapter(choice) = choice else { return Ok(native(choice)) };
        match pollster::block_on(adapter(&choice))? {
            Some(record) => Ok(gpu(&record)),
            None => {
                Err(Error::Device(format!("no GPU driver found; {}, or give --device cpu", missing_driver_remedy())))
            }
        }
    };
    list.split(',').map(target).collect()
}

/// Takes one measurement in a separate process. The outer error is the child's; `Ok(None)` means that the user
/// interrupted it.
fn measure(row: &Row, options: &Options, stop: &AtomicBool) -> Result<Option<Measured>, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut child = Command::new(program)
        .args(["bench", "one", &row.model, "--device", &row.target.choice])
        .args(["--seconds", &options.seconds.to_string(), "--batch-size", &options.batch.to_string()])
        .args(["--tune", &options.tune.tune.to_string(), "--end-with-input"])
        // Nothing is written to it. It closes when this process ends, which also ends the measurement.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start this program again: {error}"))?;
    let said = reader(child.stdout.take());
    let complained = reader(child.stderr.take());
    let ended = wait(&mut child, stop, || {
        if !options.json && !std::io::stderr().is_terminal() {
            errln!("still measuring {} on {}", row.model, row.target.name);
        }
    });
    let text = |reader: std::thread::JoinHandle<String>| reader.join().unwrap_or_default();
    let (said, complained) = (text(said), text(complained));
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let status = ended.map_err(|error| format!("cannot wait for the measurement: {error}"))?;
    if !status.success() {
        let message = complained.split_once("error: ").map_or(complained.as_str(), |(_, message)| message).trim();
        return Err(if message.is_empty() { format!("the measurement ended with {status}") } else { message.into() });
    }
    let line = said.lines().last().unwrap_or_default();
    serde_json::from_str(line).map(Some).map_err(|error| format!("the measurement said `{line}`: {error}"))
}

/// Reads a pipe to its end in a thread: the child would block on a full pipe.
fn reader(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits for the child to end, or kills it after Ctrl-C: a terminal signals the child too, `kill` does not. `pulse` is
/// called every ten seconds.
fn wait(child: &mut Child, stop: &AtomicBool, pulse: impl Fn()) -> std::io::Result<std::process::ExitStatus> {
    let mut said = Instant::now();
    loop {
        if said.elapsed() >= PULSE {
            said = Instant::now();
            pulse();
        }
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if stop.load(Ordering::Relaxed) {
            let _ = child.kill();
            return child.wait();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
