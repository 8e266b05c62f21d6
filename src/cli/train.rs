//! `shadegrad train`

use super::cpu_hint::CpuHint;
use super::output::{confusion_table, grouped, percent};
use super::run_folder::RunFolder;
use super::tune::TuneOption;
use super::{DataOption, DeviceOption, INTERRUPTED, stop_on_ctrl_c};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use shadegrad::data::{DataPair, Share};
use shadegrad::machine::Device;
use shadegrad::network::{Network, Weights};
use shadegrad::ops::softmax::Cost;
use shadegrad::train::{EpochReport, Event, Outcome, StepsReport, TrainOptions, Trainer};
use shadegrad::{Error, Result, version};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Options {
    /// A preset (case1 … case6, lenet5, mlp) or a network file that ends in .toml
    #[arg(long, default_value = "case2")]
    model: String,
    #[command(flatten)]
    data: DataOption,
    /// Passes over the training set
    #[arg(long, default_value_t = 5)]
    epochs: usize,
    /// Images a step
    #[arg(long, default_value_t = 100)]
    batch_size: usize,
    /// Step of gradient descent
    #[arg(long, default_value_t = TrainOptions::default().learning_rate)]
    learning_rate: f32,
    /// Share of the former step that is kept, from 0 (plain gradient descent) to below 1
    #[arg(long, default_value_t = TrainOptions::default().momentum)]
    momentum: f32,
    /// Look ahead along the momentum
    #[arg(long)]
    nesterov: bool,
    /// Pull of the weights towards zero
    #[arg(long, default_value_t = 0.0)]
    weight_decay: f32,
    /// What is minimised [default: what the network says, cross-entropy in all presets]
    #[arg(long)]
    loss: Option<LossOption>,
    /// What epochs are judged by: `test` (the test set), or a share (0.1) or number (5000) of training images that is
    /// held out
    #[arg(long, value_name = "test|SPLIT", default_value = "test")]
    validation: Validation,
    /// Of weights, data order and dropout
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: u64,
    #[command(flatten)]
    device: DeviceOption,
    #[command(flatten)]
    tune: TuneOption,
    /// Run folder; must not exist yet [default: runs/<model>-<date>-<n>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Start from these weights
    #[arg(long, value_name = "FILE.safetensors")]
    init: Option<PathBuf>,
    /// Take the images in the order of the file
    #[arg(long)]
    no_shuffle: bool,
    /// End after so many steps
    #[arg(long, value_name = "N")]
    max_steps: Option<usize>,
    /// Write the loss of every N-th step into metrics.jsonl; 1 reads each step back before the next
    #[arg(long, value_name = "N", default_value_t = 50)]
    log_every: usize,
    /// Time the dispatches of a step when the training is over, as `bench kernels` does; costs about two seconds, or
    /// seven steps where they are slow, and changes no weight
    #[arg(long)]
    profile: bool,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
    /// Print the lines of metrics.jsonl instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum LossOption {
    CrossEntropy,
    Quadratic,
}

#[derive(Clone, Copy)]
enum Validation {
    Test,
    HeldOut(Share),
}

impl std::str::FromStr for Validation {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "test" { Ok(Validation::Test) } else { text.parse().map(Validation::HeldOut) }
    }
}

impl Options {
    fn train_options(&self) -> Result<TrainOptions> {
        let options = TrainOptions {
            epochs: self.epochs,
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            momentum: self.momentum,
            nesterov: self.nesterov,
            weight_decay: self.weight_decay,
            loss: self.loss.map(|loss| match loss {
                LossOption::CrossEntropy => Cost::CrossEntropy,
                LossOption::Quadratic => Cost::Quadratic,
            }),
            seed: self.seed,
            shuffle: !self.no_shuffle,
            max_steps: self.max_steps,
            every_step: self.log_every == 1,
        };
        options.validate()?;
        if self.log_every == 0 {
            return Err(Error::Usage("--log-every must be at least 1, got 0".into()));
        }
        Ok(options)
    }
}

/// What `run.toml` holds.
#[derive(Serialize)]
struct Record<'a> {
    shadegrad: &'a str,
    wgpu: &'a str,
    /// Where it is not wgpu's.
    naga: Option<&'a str>,
    started: String,
    model: &'a str,
    data: &'a str,
    train_images: usize,
    validation_images: usize,
    validation: String,
    device: &'a str,
    adapter: Option<AdapterRecord>,
    init: Option<String>,
    options: &'a TrainOptions,
    network: toml::Table,
}

#[derive(Serialize)]
struct AdapterRecord {
    name: String,
    kind: String,
    backend: String,
    driver: String,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let train_options = options.train_options()?;
    RunFolder::check_free(options.out.as_deref())?;
    let network = Network::open(&options.model)?;
    let initial = options.init.as_ref().map(|path| Weights::load(path, &network)).transpose()?;
    let silent = options.quiet || options.json;
    let mut data = options.data.load(silent)?;
    if let Validation::HeldOut(share) = options.validation {
        let count = share.of(data.train.len());
        let (train, held_out) = data.train.hold_out(count, options.seed)?;
        (data.train, data.test) = (train, held_out);
    }
    let opened = options.device.open(silent)?;
    if !silent {
        eprintln!(
            "data: {}, {} training and {} validation images",
            data.source,
            grouped(data.train.len() as u64),
            grouped(data.test.len() as u64)
        );
        eprintln!("network: {}, {} parameters", network.name, grouped(network.parameter_count() as u64));
    }
    let mut cpu_hint = if silent { None } else { CpuHint::find(&opened, &network, &train_options, &data) };
    if let Some(hint) = &cpu_hint {
        eprintln!("{}", hint.alone());
    }
    let compiled = train_options.compile(&network, &data)?;
    let (device, mut untried) = options.tune.begin(&opened, &compiled, silent)?;
    let mut trainer = Trainer::new(&device, &network, &data, train_options.clone(), initial.as_ref())?;
    let mut folder = RunFolder::create(options.out.as_deref(), &network.name)?;
    folder.write_record(&record(options, &network, &data, &device, &train_options)?)?;
    if device.gpu().is_some() {
        folder.write_choices(device.choices())?;
    }
    // The images are on the device now.
    drop(data);
    let start = initial.unwrap_or_else(|| network.initialize(options.seed));
    folder.write_weights(&network, &start)?;

    let stop = stop_on_ctrl_c();
    let mut reporter = Reporter::new(options);
    let outcome = pollster::block_on(trainer.run(&mut |event| {
        match event {
            Event::Steps(report) => {
                for line in step_lines(&report, options.log_every) {
                    folder.write_metric(&line)?;
                    reporter.json_line(&line);
                }
                reporter.steps(&report);
            }
            Event::Epoch(report, weights) => {
                let line = epoch_line(report);
                folder.write_metric(&line)?;
                reporter.json_line(&line);
                folder.write_weights(&network, weights)?;
                reporter.epoch(report);
                if let Some(hint) = cpu_hint.take() {
                    reporter.note(&hint.beside(report.images_per_second));
                }
                let is_last =
                    report.epoch == options.epochs || options.max_steps.is_some_and(|most| report.step >= most);
                if let Some(untried) = untried.as_mut().filter(|_| !is_last && !stop.load(Ordering::Relaxed)) {
                    untried.go_on(Duration::from_secs_f64(report.seconds), &mut |line| reporter.note(line));
                }
            }
        }
        Ok(if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }));
    reporter.clear();
    let outcome = outcome.map_err(|error| match error {
        Error::NotFinite(problem) => Error::NotFinite(format!(
            "{problem}\nthe last good weights are in {}",
            folder.path().join(super::run_folder::MODEL_FILE).display()
        )),
        other => other,
    })?;
    if let Some(evaluation) = &outcome.evaluation {
        folder.write_confusion(evaluation)?;
    }
    if options.profile && !outcome.interrupted {
        let profile = pollster::block_on(trainer.profile())?;
        let ceilings = super::bench::ceilings(&device)?;
        let line = json(&ProfileLine { kind: "profile", profile: profile.json(ceilings.as_ref()) });
        folder.write_metric(&line)?;
        reporter.json_line(&line);
        if !silent {
            println!("\n{}", profile.table(ceilings.as_ref()));
        }
    }
    if outcome.interrupted {
        let weights = pollster::block_on(trainer.weights())?;
        folder.write_weights(&network, &weights)?;
        eprintln!("interrupted; the weights are saved in {}", folder.path().display());
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if !silent {
        conclude(options, &outcome, &folder);
    }
    Ok(ExitCode::SUCCESS)
}

fn record<'a>(
    options: &'a Options,
    network: &Network,
    data: &'a DataPair,
    device: &'a Device,
    train_options: &'a TrainOptions,
) -> Result<Record<'a>> {
    let validation = match options.validation {
        Validation::Test => "test set".to_string(),
        Validation::HeldOut(_) => "held out of the training set".to_string(),
    };
    let network_table =
        network.to_toml().parse().map_err(|error| Error::Network(format!("network `{}`: {error}", network.name)))?;
    Ok(Record {
        shadegrad: env!("CARGO_PKG_VERSION"),
        wgpu: version::wgpu(),
        naga: (version::naga() != version::wgpu()).then(version::naga),
        started: jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        model: &options.model,
        data: &data.source,
        train_images: data.train.len(),
        validation_images: data.test.len(),
        validation,
        device: &device.description,
        adapter: device.gpu().map(|gpu| AdapterRecord {
            name: gpu.info.name.clone(),
            kind: gpu.type_name().to_string(),
            backend: gpu.info.backend.to_string(),
            driver: gpu.driver(),
        }),
        init: options.init.as_ref().map(|path| path.display().to_string()),
        options: train_options,
        network: network_table,
    })
}

#[derive(Serialize)]
struct StepLine {
    kind: &'static str,
    step: usize,
    epoch: usize,
    loss: f64,
}

fn step_lines(report: &StepsReport<'_>, every: usize) -> Vec<String> {
    let numbered = report.losses.iter().enumerate().map(|(index, loss)| (report.first_step + index, *loss));
    numbered
        .filter(|(step, _)| step.is_multiple_of(every))
        .map(|(step, loss)| json(&StepLine { kind: "step", step, epoch: report.epoch, loss }))
        .collect()
}

#[derive(Serialize)]
struct EpochLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    report: &'a EpochReport,
}

fn epoch_line(report: &EpochReport) -> String {
    json(&EpochLine { kind: "epoch", report })
}

#[derive(Serialize)]
struct ProfileLine {
    kind: &'static str,
    #[serde(flatten)]
    profile: serde_json::Value,
}

fn json(line: &impl Serialize) -> String {
    match serde_json::to_string(line) {
        Ok(text) => text,
        Err(error) => unreachable!("numbers and words: {error}"),
    }
}

/// What the user sees meanwhile: a bar within the epoch on a terminal, a line an epoch anywhere.
struct Reporter {
    json: bool,
    quiet: bool,
    epochs: usize,
    bar: Option<ProgressBar>,
}

impl Reporter {
    fn new(options: &Options) -> Reporter {
        let wanted = !options.quiet && !options.json && std::io::stderr().is_terminal();
        let style = "epoch {prefix} {bar:28} {pos}/{len} steps  {msg}  {eta} left";
        let bar = wanted.then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar
        });
        Reporter { json: options.json, quiet: options.quiet, epochs: options.epochs, bar }
    }

    fn json_line(&self, line: &str) {
        if self.json && !self.quiet {
            println!("{line}");
        }
    }

    fn steps(&mut self, report: &StepsReport<'_>) {
        let Some(bar) = &self.bar else { return };
        if report.done == report.losses.len() {
            bar.reset();
            bar.set_length(report.steps as u64);
            bar.set_prefix(format!("{}/{}", report.epoch, self.epochs));
        }
        bar.set_position(report.done as u64);
        bar.set_message(format!("loss {:.4}  {:.0} images/s", report.epoch_loss, report.images_per_second));
    }

    fn epoch(&mut self, report: &EpochReport) {
        if self.quiet || self.json {
            return;
        }
        let line = format!(
            "epoch {:>2}/{}  train loss {:.4}  accuracy {}  val loss {:.4}  accuracy {}  {:.0} images/s",
            report.epoch,
            self.epochs,
            report.train_loss,
            percent(report.train_accuracy),
            report.val_loss,
            percent(report.val_accuracy),
            report.images_per_second
        );
        match &self.bar {
            Some(bar) => bar.suspend(|| println!("{line}")),
            None => println!("{line}"),
        }
    }

    /// A line on stderr.
    fn note(&self, line: &str) {
        match &self.bar {
            _ if self.quiet || self.json => {}
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn conclude(options: &Options, outcome: &Outcome, folder: &RunFolder) {
    let (Some(last), Some(evaluation)) = (outcome.epochs.last(), &outcome.evaluation) else { return };
    let path = folder.path().display();
    println!("\n{}", confusion_table(evaluation));
    println!(
        "reached {} of {} validation images after {} steps",
        percent(last.val_accuracy),
        grouped(evaluation.images()),
        grouped(last.step as u64)
    );
    println!("the run is in {path}\n\nwhat to try next:");
    println!("  shadegrad predict {path} assets/digits/seven.png");
    println!("  shadegrad evaluate {path}");
    if options.data.data.is_none() {
        println!(
            "  shadegrad data fetch mnist && shadegrad train --data data/mnist --epochs 15   (the paper's settings)"
        );
    }
}
