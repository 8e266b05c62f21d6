//! `shadegrad train`: a new run, or with `--resume` one that goes on.

mod optimizer;
mod record;
mod report;
mod schedule;

use super::cpu_hint::CpuHint;
use super::run_folder::RunFolder;
use super::tune::{Rest, TuneOption};
use super::{DataOption, DeviceOption, INTERRUPTED, stop_on_ctrl_c};
use crate::cli::output::grouped;
use clap::{Args, ValueEnum};
use optimizer::OptimizerOptions;
use record::{Command, Origin, Record};
use report::Reporter;
use schedule::ScheduleOptions;
use shadegrad::checkpoint::Checkpoint;
use shadegrad::data::{DataPair, Share, Source};
use shadegrad::machine::Device;
use shadegrad::network::{Network, Weights};
use shadegrad::ops::softmax::Cost;
use shadegrad::train::{EpochReport, Event, Interval, Outcome, Progress, TrainOptions, Trainer};
use shadegrad::{Error, Result};
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// `--log-every`, if it is not given.
const LOG_EVERY: usize = 50;

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Options {
    /// A preset (case1 … case6, lenet5, mlp) or a network file that ends in .toml
    #[arg(long, default_value = "case2")]
    model: String,
    #[command(flatten)]
    data: DataOption,
    /// Passes over the training set [default: 5]
    #[arg(long)]
    epochs: Option<usize>,
    /// Images a step
    #[arg(long, default_value_t = 100)]
    batch_size: usize,
    #[command(flatten)]
    optimizer: OptimizerOptions,
    #[command(flatten)]
    schedule: ScheduleOptions,
    /// What is minimised [default: what the network says, cross-entropy in all presets]
    #[arg(long)]
    loss: Option<LossOption>,
    /// Share of a target that is given to all classes alike while training; of the cross-entropy
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    label_smoothing: f32,
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
    /// End when the validation loss has not fallen for so many epochs
    #[arg(long, value_name = "EPOCHS")]
    patience: Option<usize>,
    /// Write the loss of every N-th step into metrics.jsonl; 1 reads each step back before the next [default: 50]
    #[arg(long, value_name = "N")]
    log_every: Option<usize>,
    /// Make a checkpoint every so many steps (500) or minutes (10min) too, not only at the end of each epoch
    #[arg(long, value_name = "STEPS|MINUTES")]
    checkpoint_every: Option<Interval>,
    /// Go on with a run from its last checkpoint, or from the checkpoint that is given, to the very weights that it would
    /// have reached without the interruption. What decides them cannot be given again; --epochs, --max-steps and
    /// --patience may be raised
    #[arg(long, value_name = "RUN", conflicts_with_all = [
        "model", "batch_size", "optimizer", "beta1", "beta2", "epsilon", "learning_rate", "momentum", "nesterov", "weight_decay", "clip_norm", "ema", "loss", "label_smoothing", "validation", "seed",
        "out", "init", "no_shuffle", "schedule", "step_size", "gamma", "peak_at", "start_factor", "end_factor", "warmup",
    ])]
    resume: Option<PathBuf>,
    /// If a loss is not finite, do the steps since the last checkpoint again and name the layer and kernel that made the
    /// first such number
    #[arg(long)]
    find_nan: bool,
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

#[derive(Clone, Copy, Debug)]
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

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Validation::Test => f.write_str("test"),
            Validation::HeldOut(share) => share.fmt(f),
        }
    }
}

impl Validation {
    /// The sets that a run trains on and is judged by.
    fn divide(self, mut data: DataPair, seed: u64) -> Result<DataPair> {
        if let Validation::HeldOut(share) = self {
            let count = share.of(data.train.len());
            (data.train, data.test) = data.train.hold_out(count, seed)?;
        }
        Ok(data)
    }
}

impl Options {
    fn train_options(&self) -> Result<TrainOptions> {
        let options = TrainOptions {
            epochs: self.epochs.unwrap_or(TrainOptions::default().epochs),
            batch_size: self.batch_size,
            loss: self.loss.map(|loss| match loss {
                LossOption::CrossEntropy => Cost::CrossEntropy,
                LossOption::Quadratic => Cost::Quadratic,
            }),
            label_smoothing: self.label_smoothing,
            seed: self.seed,
            shuffle: !self.no_shuffle,
            max_steps: self.max_steps,
            patience: self.patience,
            every_step: self.log_every == Some(1),
            checkpoint_every: self.checkpoint_every,
            find_nan: self.find_nan,
            schedule: self.schedule.schedule()?,
            warmup: self.schedule.warmup,
            ..TrainOptions::default()
        };
        let options = self.optimizer.apply(options)?;
        options.validate()?;
        self.check()?;
        Ok(options)
    }

    /// Tells a run that goes on what it may be told anew.
    fn change(&self, checkpoint: &mut Checkpoint, log_every: usize) -> Result<()> {
        let Checkpoint { options, state, .. } = checkpoint;
        let Progress { epochs, step, .. } = state.progress;
        let fits = |option: &str, given: Option<usize>, done: usize| match given {
            Some(given) if given < done => {
                Err(Error::Usage(format!("{option}: expected at least {done}, which the run has done, got {given}")))
            }
            _ => Ok(()),
        };
        schedule::check_length(options, self.epochs)?;
        fits("--epochs", self.epochs, epochs)?;
        fits("--max-steps", self.max_steps, step)?;
        options.epochs = self.epochs.unwrap_or(options.epochs);
        options.max_steps = self.max_steps.or(options.max_steps);
        options.patience = self.patience.or(options.patience);
        options.checkpoint_every = self.checkpoint_every.or(options.checkpoint_every);
        options.every_step = log_every == 1;
        options.find_nan = self.find_nan;
        options.validate()?;
        self.check()
    }

    fn check(&self) -> Result<()> {
        if self.log_every == Some(0) {
            return Err(Error::Usage("--log-every must be at least 1, got 0".into()));
        }
        Ok(())
    }

    fn silent(&self) -> bool {
        self.quiet || self.json
    }
}

pub fn run(options: &Options) -> Result<ExitCode> {
    match &options.resume {
        None => start(options),
        Some(run) => resume(options, run),
    }
}

/// A new run.
fn start(options: &Options) -> Result<ExitCode> {
    let train_options = options.train_options()?;
    RunFolder::check_free(options.out.as_deref())?;
    let network = Network::open(&options.model)?;
    let initial = options.init.as_ref().map(|path| Weights::load(path, &network)).transpose()?;
    let silent = options.silent();
    let source = options.data.source(silent);
    let data = options.validation.divide(source.load()?, options.seed)?;
    let opened = options.device.open(silent)?;
    introduce(options, &network, &data);
    let cpu_hint = if silent { None } else { CpuHint::find(&opened, &network, &train_options, &data) };
    if let Some(hint) = &cpu_hint {
        eprintln!("{}", hint.alone());
    }
    let compiled = train_options.compile(&network, &data)?;
    let (device, untried) = options.tune.begin(&opened, &compiled, silent)?;
    let mut trainer = Trainer::new(&device, &network, &data, train_options.clone(), initial.as_ref())?;
    let mut folder = RunFolder::create(options.out.as_deref(), &network.name)?;
    let log_every = options.log_every.unwrap_or(LOG_EVERY);
    let command = Command {
        data: source.to_string(),
        validation: options.validation,
        device: options.device.choice(),
        log_every,
    };
    let origin = Origin { model: &options.model, init: options.init.as_deref() };
    folder.write_record(&Record::new(&origin, command, &train_options, &network, &data, &device)?)?;
    if device.gpu().is_some() {
        folder.write_choices(device.choices())?;
    }
    let checkpoint = pollster::block_on(trainer.checkpoint())?;
    folder.write_weights(&network, checkpoint.state.model())?;
    folder.write_checkpoint(&checkpoint)?;
    train(options, log_every, trainer, folder, Beside { cpu_hint, untried })
}

/// A run that goes on.
fn resume(options: &Options, run: &Path) -> Result<ExitCode> {
    let silent = options.silent();
    let (mut folder, restored) = RunFolder::resume(run)?;
    let mut record: Record = folder.read_record()?;
    let mut checkpoint = restored.checkpoint;
    let same = record.check_same_run(&checkpoint.network, &checkpoint.options);
    same.map_err(|problem| Error::file(&restored.path, problem))?;
    let log_every = options.log_every.unwrap_or(record.command.log_every);
    options.change(&mut checkpoint, log_every)?;
    let source = match &options.data.data {
        Some(_) => options.data.source(silent),
        None => Source::resolve(Some(&record.command.data), None).0,
    };
    let data = record.command.validation.divide(source.load()?, checkpoint.options.seed)?;
    let device = options.device.open_or(&record.command.device, silent)?;
    introduce(options, &checkpoint.network, &data);
    let device = pinned(options, &checkpoint, &device, &data)?;
    let step = checkpoint.state.progress.step;
    let train_options = checkpoint.options.clone();
    let trainer = Trainer::resume(&device, checkpoint, &data)?;
    if !trainer.is_finished() {
        folder.cut_back(trainer.progress())?;
        record.resume(step, &train_options, &device);
        folder.write_record(&record)?;
    }
    if !silent {
        eprintln!("resumed after step {step}, from {}", restored.path.display());
    }
    // A run keeps its kernels, and what the CPU would do was said when it began.
    train(options, log_every, trainer, folder, Beside::default())
}

/// The device with the kernels of the checkpoint. On another one, with those of `--tune`; then equal bits are not promised.
fn pinned(options: &Options, checkpoint: &Checkpoint, device: &Device, data: &DataPair) -> Result<Device> {
    if options.tune.is_file() {
        let problem = "--tune FILE cannot be used with --resume: a run keeps the kernels that it was begun with";
        return Err(Error::Usage(problem.into()));
    }
    let (before, now) = (&checkpoint.device, device.identity());
    let (program, this) = (&checkpoint.program, env!("CARGO_PKG_VERSION"));
    if program != this && !options.quiet {
        eprintln!(
            "warning: the run was begun by shadegrad {program}, this is {this}: the weights may differ in some bits"
        );
    }
    if *before == now {
        return checkpoint.choices.clone().map_or(Ok(device.clone()), |choices| device.with_choices(choices));
    }
    if !options.quiet {
        eprintln!("warning: the checkpoint was made on {before}, this is {now}: the weights may differ in some bits");
    }
    options.tune.apply(device, &checkpoint.options.compile(&checkpoint.network, data)?, options.silent())
}

fn introduce(options: &Options, network: &Network, data: &DataPair) {
    if options.silent() {
        return;
    }
    eprintln!(
        "data: {}, {} training and {} validation images",
        data.source,
        grouped(data.train.len() as u64),
        grouped(data.test.len() as u64)
    );
    eprintln!("network: {}, {} parameters", network.name, grouped(network.parameter_count() as u64));
}

/// What goes on between the epochs of a new run.
#[derive(Default)]
struct Beside<'a> {
    cpu_hint: Option<CpuHint>,
    untried: Option<Rest<'a>>,
}

impl Beside<'_> {
    /// Compares with the CPU, once, and tries kernels if the training goes on.
    fn after(&mut self, epoch: &EpochReport, goes_on: bool, reporter: &Reporter) {
        if let Some(hint) = self.cpu_hint.take() {
            reporter.note(&hint.beside(epoch.images_per_second));
        }
        if let Some(untried) = self.untried.as_mut().filter(|_| goes_on) {
            untried.go_on(Duration::from_secs_f64(epoch.seconds), &mut |line| reporter.note(line));
        }
    }
}

/// Trains to the end, and says so.
fn train(
    options: &Options,
    log_every: usize,
    mut trainer: Trainer<'_>,
    mut folder: RunFolder,
    mut beside: Beside<'_>,
) -> Result<ExitCode> {
    let stop = stop_on_ctrl_c();
    let TrainOptions { epochs, max_steps, .. } = *trainer.options();
    let mut reporter = Reporter::new(options, epochs);
    let network = trainer.network().clone();
    let outcome = pollster::block_on(trainer.run(&mut |event| {
        match event {
            Event::Steps(report) => {
                for line in report::step_lines(&report, log_every) {
                    folder.write_metric(&line)?;
                    reporter.json_line(&line);
                }
                reporter.steps(&report);
            }
            Event::Epoch(report, weights) => {
                let line = report::epoch_line(report);
                folder.write_metric(&line)?;
                reporter.json_line(&line);
                folder.write_weights(&network, weights)?;
                reporter.epoch(report);
                let is_last = report.epoch == epochs || max_steps.is_some_and(|most| report.step >= most);
                beside.after(report, !is_last && !stop.load(Ordering::Relaxed), &reporter);
            }
            Event::Checkpoint(checkpoint) => folder.write_checkpoint(checkpoint)?,
            Event::Recovery(recovery) => reporter.recovery(&recovery),
        }
        Ok(if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }));
    reporter.clear();
    let outcome = outcome.map_err(|error| folder.explain(error))?;
    if let Some(evaluation) = &outcome.evaluation {
        folder.write_confusion(evaluation).map_err(|error| folder.explain(error))?;
    }
    if outcome.interrupted {
        let checkpoint = pollster::block_on(trainer.checkpoint())?;
        folder.write_weights(&network, checkpoint.state.model())?;
        folder.write_checkpoint(&checkpoint)?;
        let run = folder.path().display();
        eprintln!("interrupted; the weights are saved in {run}\nto go on: shadegrad train --resume {run}");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if let Some(lowest) = trainer.stopped_early() {
        record::stop_early(&folder, &trainer, lowest, options.silent())?;
    }
    if options.profile {
        profile(options, &mut trainer, &mut folder, &reporter)?;
    }
    if !options.silent() {
        conclude(options, &outcome, &trainer, &folder);
    }
    Ok(ExitCode::SUCCESS)
}

/// `--profile`
fn profile(options: &Options, trainer: &mut Trainer<'_>, folder: &mut RunFolder, reporter: &Reporter) -> Result<()> {
    let profile = pollster::block_on(trainer.profile())?;
    let ceilings = super::bench::ceilings(trainer.device())?;
    let line = report::profile_line(profile.json(ceilings.as_ref()));
    folder.write_metric(&line)?;
    reporter.json_line(&line);
    if !options.silent() {
        println!("\n{}", profile.table(ceilings.as_ref()));
    }
    Ok(())
}

fn conclude(options: &Options, outcome: &Outcome, trainer: &Trainer<'_>, folder: &RunFolder) {
    let Some(evaluation) = &outcome.evaluation else { return };
    let builtin = options.resume.is_none() && options.data.data.is_none();
    report::conclude(builtin, evaluation, trainer.progress(), folder.path());
}
