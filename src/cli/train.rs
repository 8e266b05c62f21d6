//! `shadegrad train`: starts a new run, or resumes one with `--resume`.

mod report;

use super::tune::TuneOption;
use super::{DataOption, DeviceOption, INTERRUPTED, ModelArgument, cache, program, run_path};
use crate::cli::output::errln;
use clap::Args;
pub use report::Reporter;
use shadegrad::data::scale::Scale;
use shadegrad::ops::softmax::Cost;
use shadegrad::ranks::Collective;
use shadegrad::run::{Run, RunChanges, RunEnd, RunOptions, RunRecord, Validation};
use shadegrad::text::shell_word;
use shadegrad::train::{Interval, Recipe};
use shadegrad::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The default network.
const MODEL: &str = "starter";

const EXAMPLES: &str = "\
Examples:
  shadegrad train                                    a first run, on built-in digits
  shadegrad train case2 -d data/mnist                a run of the MNIST study
  shadegrad train my.toml -d data/mnist -e 20 -l 0.05 --schedule cosine
  shadegrad train --resume latest                    continue an interrupted run
  mpirun -n 2 shadegrad train case2 -b 400 -D 0,1    one network on two devices, in a build with MPI";

#[derive(Args)]
#[command(allow_negative_numbers = true, after_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    model: ModelArgument,
    #[command(flatten, next_help_heading = "Network and data")]
    data: DataOption,
    #[command(flatten)]
    new: NewRun,
    #[command(flatten)]
    recipe: Recipe,
    #[command(flatten, next_help_heading = "Device and tuning")]
    device: DeviceOption,
    #[command(flatten)]
    tune: TuneOption,
    /// Time the dispatches of a step after the training, as `bench kernels` does
    ///
    /// This costs about two seconds, or seven steps where they are slow, and changes no weight.
    #[arg(long)]
    profile: bool,
    #[command(flatten, next_help_heading = "Output")]
    output: Output,
    #[command(flatten, next_help_heading = "Resuming and debugging")]
    resuming: Resuming,
}

/// What decides the weights of a new run besides its recipe.
#[derive(Args)]
struct NewRun {
    /// Loss function [default: the network's own; cross-entropy in all presets]
    #[arg(long)]
    loss: Option<Cost>,
    /// Images that each epoch is evaluated on: `test`, or a share (0.1) or number (5000) of training images to hold out
    /// [default: test]
    #[arg(long, value_name = "test|SPLIT")]
    validation: Option<Validation>,
    /// Divisor of pixel values: a byte, or `max` for the brightest pixel of the training images [default: 255]
    ///
    /// `evaluate`, `predict` and `--resume` use the same.
    #[arg(long, value_name = "BYTE|max")]
    scale: Option<Scale>,
    /// Random seed of initial weights, data order, dropout and augmentation [default: 1]
    #[arg(short, long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Start from these weights
    #[arg(long, value_name = "FILE.safetensors")]
    init: Option<PathBuf>,
    /// Keep the images in the order of the file
    #[arg(long)]
    no_shuffle: bool,
    /// Repeat another run: its network, data, device and options, except for those given here; `latest` is the newest
    #[arg(long, value_name = "RUN", value_parser = run_path, conflicts_with_all = ["model", "named_model"])]
    like: Option<PathBuf>,
}

/// What a run prints and writes.
#[derive(Args)]
struct Output {
    /// Run folder; must not exist yet [default: runs/<model>-<date>-<n>]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the loss of every N-th step to metrics.jsonl; 1 waits for each step before the next [default: 50]
    #[arg(long, value_name = "N")]
    log_every: Option<usize>,
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
    /// Print the lines of metrics.jsonl instead of text
    #[arg(long)]
    json: bool,
}

/// How runs are interrupted, continued and examined.
#[derive(Args)]
struct Resuming {
    /// Continue a run from its last checkpoint, or from the checkpoint given; `latest` is the newest run
    ///
    /// The run reaches exactly the weights that it would have reached without the interruption. Options that decide them
    /// cannot be given again. --epochs, --max-steps and --patience may be raised; --patience none turns early stopping off.
    #[arg(long, value_name = "RUN", value_parser = run_path, conflicts_with_all = [
        "ModelArgument", "NewRun", "BatchRecipe", "OptimizerRecipe", "ScheduleRecipe", "RegularizationRecipe", "out",
    ])]
    resume: Option<PathBuf>,
    /// Write a checkpoint every so many steps (500) or minutes (10min), in addition to the one after each epoch
    #[arg(long, value_name = "STEPS|MINUTES")]
    checkpoint_every: Option<Interval>,
    /// Stop after this many steps
    #[arg(long, value_name = "N")]
    max_steps: Option<usize>,
    /// When a loss is not finite, repeat the steps since the last checkpoint and name the layer and kernel that caused it
    #[arg(long)]
    find_nan: bool,
}

pub fn run(mut options: Options, ranks: &dyn Collective) -> Result<ExitCode> {
    options.output.quiet |= !ranks.leads();
    let mut reporter = Reporter::new(options.output.quiet, options.output.json);
    if !ranks.leads() {
        reporter.listens_only();
    }
    let run = match &options.resuming.resume {
        None => {
            let run_options = ranks.together(options.run_options(&mut reporter, ranks))?;
            pollster::block_on(Run::start_on(ranks, run_options, &mut |event| reporter.hear(&event)))
        }
        Some(folder) => {
            let changes = ranks.together(options.changes())?;
            pollster::block_on(Run::resume_on(ranks, folder, changes, &mut |event| reporter.hear(&event)))
        }
    };
    reporter.clear();
    let run = run?;
    if !ranks.leads() {
        let is_interrupted = run.end == RunEnd::Interrupted;
        return Ok(if is_interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS });
    }
    if run.end == RunEnd::Interrupted {
        let folder = shell_word(&run.folder.to_string_lossy());
        errln!(
            "interrupted; the weights are saved in {folder}\nto continue: {} train --resume {folder}",
            program::name()
        );
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let is_first = options.resuming.resume.is_none() && options.data.data.is_none() && options.model.get().is_none();
    reporter.conclude(&run, is_first)?;
    Ok(ExitCode::SUCCESS)
}

impl Options {
    /// The options of a new run.
    fn run_options(&self, reporter: &mut Reporter, ranks: &dyn Collective) -> Result<RunOptions> {
        let mut options = match &self.new.like {
            Some(run) => self.like(run, ranks)?,
            None => self.by_recipe(reporter)?,
        };
        let NewRun { loss, validation, scale, seed, init, no_shuffle, .. } = &self.new;
        let Resuming { checkpoint_every, max_steps, find_nan, .. } = &self.resuming;
        let training = &mut options.training;
        training.step.loss = loss.or(training.step.loss);
        training.seed = seed.unwrap_or(training.seed);
        training.shuffle &= !no_shuffle;
        training.max_steps = max_steps.or(training.max_steps);
        training.checkpoint_every = checkpoint_every.or(training.checkpoint_every);
        training.find_nan |= find_nan;
        options.validation = validation.unwrap_or(options.validation);
        options.scale = scale.unwrap_or(options.scale);
        options.out.clone_from(&self.output.out);
        options.init = init.clone().or(options.init);
        options.log_every = self.output.log_every.unwrap_or(options.log_every);
        options.device = self.device.device.clone().unwrap_or(options.device);
        options.tuning = self.tune.get()?;
        options.profile = self.profile;
        options.cache = cache::folder();
        options.compare_with_cpu = !self.is_silent();
        options.check()?;
        Ok(options)
    }

    /// Options for training a network by its recipe, overridden by the options given here.
    fn by_recipe(&self, reporter: &mut Reporter) -> Result<RunOptions> {
        let model = self.model.get().unwrap_or(MODEL);
        let options = RunOptions::new(model)?;
        let recipe = &options.network.recipe;
        let training = self.recipe.complete_over(recipe)?;
        reporter.recipe = recipe.left_by(&self.recipe);
        let data = self.data.source(self.is_silent());
        Ok(RunOptions { training, data, ..options })
    }

    /// Options for repeating another run, overridden by the options given here.
    fn like(&self, run: &Path, ranks: &dyn Collective) -> Result<RunOptions> {
        let mut options = RunRecord::read_on(ranks, run)?.run_options()?;
        if self.data.data.is_some() {
            options.data = self.data.source(self.is_silent());
        }
        let recipe = self.recipe.over(&Recipe::from(&options.training)).complete()?;
        options.training = options.training.with_recipe(recipe);
        Ok(options)
    }

    fn is_silent(&self) -> bool {
        self.output.quiet || self.output.json
    }

    /// The changes to a run that is resumed.
    fn changes(&self) -> Result<RunChanges> {
        Ok(RunChanges {
            epochs: self.recipe.length.epochs,
            patience: self.recipe.length.patience,
            max_steps: self.resuming.max_steps,
            checkpoint_every: self.resuming.checkpoint_every,
            find_nan: self.resuming.find_nan,
            log_every: self.output.log_every,
            data: self.data.data.is_some().then(|| self.data.source(self.is_silent())),
            device: self.device.device.clone(),
            tuning: self.tune.get()?,
            profile: self.profile,
            cache: cache::folder(),
        })
    }
}

/// The message of an error, with options named as on the command line.
pub fn message(error: &Error) -> String {
    match error {
        Error::Ranks(error) => message(error),
        Error::Option(error) => error.with_names(|field| format!("--{}", field.replace('_', "-"))),
        error => error.to_string(),
    }
}
