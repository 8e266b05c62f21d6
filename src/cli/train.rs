//! `shadegrad train`: a new run, or with `--resume` one that goes on.

mod optimizer;
mod options;
mod or_none;
mod recipe;
mod record;
mod report;
mod schedule;

use super::cpu_hint::CpuHint;
use super::run_folder::RunFolder;
use super::tune::Rest;
use super::{INTERRUPTED, stop_on_ctrl_c};
use crate::cli::output::{errln, grouped, outln};
pub use options::{Options, Validation};
pub use recipe::{as_arguments as recipe_arguments, train_options as recipe_options};
pub use record::Record;
use record::{Command, Origin};
use report::Reporter;
use shadegrad::checkpoint::Checkpoint;
use shadegrad::data::form::Form;
use shadegrad::data::scale::Scale;
use shadegrad::data::{DataPair, remarks};
use shadegrad::machine::Device;
use shadegrad::network::{Network, Weights};
use shadegrad::text::brief;
use shadegrad::train::{EpochReport, Event, Outcome, TrainOptions, Trainer};
use shadegrad::{Error, Result};
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// `--log-every`, if it is not given.
const LOG_EVERY: usize = 50;

/// How a training ended that met no error.
pub enum Ended {
    /// After its last epoch or step.
    Whole,
    /// By Ctrl-C. The run in this folder can go on.
    Interrupted(PathBuf),
}

/// `arguments` are those that the options were parsed from.
pub fn run(options: Options, arguments: &[OsString]) -> Result<ExitCode> {
    // A run that goes on has its options already.
    let options = if options.resume.is_some() { options } else { recipe::complete(options, arguments)? };
    match run_to_end(&options)? {
        Ended::Whole => Ok(ExitCode::SUCCESS),
        Ended::Interrupted(run) => {
            let run = run.display();
            errln!("interrupted; the weights are saved in {run}\nto go on: shadegrad train --resume {run}");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// The same for other commands, which say in their own words how it ended.
pub fn run_to_end(options: &Options) -> Result<Ended> {
    match &options.resume {
        None => start(options),
        Some(run) => resume(options, run),
    }
}

/// A new run.
fn start(options: &Options) -> Result<Ended> {
    let train_options = options.train_options()?;
    RunFolder::check_free(options.out.as_deref())?;
    let mut network = Network::open(&options.model)?;
    let initial = options.init.as_ref().map(|path| Weights::load(path, &network)).transpose()?;
    let silent = options.silent();
    let source = options.data.source(silent);
    let mut data = options.validation.divide(source.load()?, options.seed)?;
    remarks::check(&data)?;
    let full_scale = options.scale.apply(&mut data);
    network.form = Some(Form::measure(&data.train, full_scale, source.is_emnist()));
    let opened = options.device.open(silent)?;
    introduce(options, &network, &data);
    if !silent {
        remarks::remarks(&data, full_scale).iter().for_each(|remark| errln!("note: {remark}"));
    }
    let cpu_hint = if silent { None } else { CpuHint::find(&opened, &network, &train_options, &data) };
    if let Some(hint) = &cpu_hint {
        errln!("{}", hint.alone());
    }
    let compiled = train_options.compile(&network, &data)?;
    let (device, untried) = options.tune.begin(&opened, &compiled, silent)?;
    let mut trainer = Trainer::new(&device, &network, &data, train_options.clone(), initial.as_ref())?;
    let mut folder = RunFolder::create(options.out.as_deref(), &network.name)?;
    let log_every = options.log_every.unwrap_or(LOG_EVERY);
    let command = Command {
        data: options.data_of_record(&source),
        validation: options.validation,
        device: options.device.choice(),
        scale: options.scale,
        log_every,
    };
    let begin = || {
        let checkpoint = pollster::block_on(trainer.checkpoint())?;
        let origin = Origin { model: &options.model, init: options.init.as_deref(), checksum: &checkpoint.data };
        folder.write_record(&Record::new(&origin, command, &train_options, &network, &data, &device)?)?;
        if device.gpu().is_some() {
            folder.write_choices(device.choices())?;
        }
        folder.write_weights(&network, checkpoint.state.model())?;
        folder.write_checkpoint(&checkpoint)
    };
    if let Err(error) = begin() {
        folder.abandon();
        return Err(error);
    }
    train(options, log_every, trainer, folder, Beside { cpu_hint, untried })
}

/// A run that goes on.
fn resume(options: &Options, run: &Path) -> Result<Ended> {
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
        None => record.source()?,
    };
    let mut data = record.command.validation.divide(source.load()?, checkpoint.options.seed)?;
    Scale::By(checkpoint.network.picture_form().full_scale).apply(&mut data);
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
        errln!("resumed after step {step}, from {}", restored.path.display());
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
    let now = device.identity();
    let is_same_device = checkpoint.device == now;
    let (before, program, this) = (brief(&checkpoint.device), brief(&checkpoint.program), env!("CARGO_PKG_VERSION"));
    if program != this && !options.quiet {
        errln!(
            "warning: the run was begun by shadegrad {program}, this is {this}: the weights may differ in some bits"
        );
    }
    if is_same_device {
        return checkpoint.choices.clone().map_or(Ok(device.clone()), |choices| device.with_choices(choices));
    }
    if !options.quiet {
        errln!("warning: the checkpoint was made on {before}, this is {now}: the weights may differ in some bits");
    }
    options.tune.apply(device, &checkpoint.options.compile(&checkpoint.network, data)?, options.silent())
}

fn introduce(options: &Options, network: &Network, data: &DataPair) {
    if options.silent() {
        return;
    }
    errln!(
        "data: {}, {} training and {} validation images",
        data.source,
        grouped(data.train.len() as u64),
        grouped(data.test.len() as u64)
    );
    errln!("network: {}, {} parameters", network.name, grouped(network.parameter_count() as u64));
    let recipe = &options.recipe;
    if !recipe.is_empty() {
        errln!("training: {recipe} (of {}; options on the command line win)", recipe.origin);
    }
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
) -> Result<Ended> {
    let stop = stop_on_ctrl_c();
    let TrainOptions { epochs, max_steps, .. } = *trainer.options();
    let mut reporter = Reporter::new(options, epochs);
    let network = trainer.network().clone();
    let outcome = pollster::block_on(trainer.run(&mut |event| {
        match event {
            Event::Steps(report) => {
                for line in report::step_lines(&report, log_every) {
                    folder.write_metric(&line)?;
                    reporter.json_line(&line)?;
                }
                reporter.steps(&report);
            }
            Event::Epoch(report, weights) => {
                let line = report::epoch_line(report);
                folder.write_metric(&line)?;
                folder.write_weights(&network, weights)?;
                reporter.json_line(&line)?;
                reporter.epoch(report)?;
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
        return Ok(Ended::Interrupted(folder.path().to_path_buf()));
    }
    if let Some(lowest) = trainer.stopped_early() {
        record::stop_early(&folder, &trainer, lowest, options.silent())?;
    }
    if options.profile {
        profile(options, &mut trainer, &mut folder, &reporter)?;
    }
    if !options.silent() {
        conclude(options, &outcome, &trainer, &folder)?;
    }
    Ok(Ended::Whole)
}

/// `--profile`
fn profile(options: &Options, trainer: &mut Trainer<'_>, folder: &mut RunFolder, reporter: &Reporter) -> Result<()> {
    let profile = pollster::block_on(trainer.profile())?;
    let ceilings = super::bench::ceilings(trainer.device())?;
    let line = report::profile_line(profile.json(ceilings.as_ref()));
    folder.write_metric(&line)?;
    reporter.json_line(&line)?;
    if !options.silent() {
        outln!("\n{}", profile.table(ceilings.as_ref()))?;
    }
    Ok(())
}

fn conclude(options: &Options, outcome: &Outcome, trainer: &Trainer<'_>, folder: &RunFolder) -> Result<()> {
    let Some(evaluation) = &outcome.evaluation else { return Ok(()) };
    let builtin = options.resume.is_none() && options.data.data.is_none();
    report::conclude(builtin, evaluation, trainer.progress(), folder.path())?;
    if let Some(remark) = remarks::one_answer(&evaluation.confusion) {
        errln!("note: {remark}");
    }
    Ok(())
}
