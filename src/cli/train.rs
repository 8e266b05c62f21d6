//! `shadegrad train`: a new run, or with `--resume` one that goes on.

mod report;

use super::tune::TuneOption;
use super::{DataOption, DeviceOption, INTERRUPTED, cache, model_help};
use crate::cli::output::errln;
use clap::Args;
pub use report::Reporter;
use shadegrad::data::scale::Scale;
use shadegrad::ops::softmax::Cost;
use shadegrad::run::{Run, RunChanges, RunEnd, RunOptions, RunRecord, Validation};
use shadegrad::train::{Interval, Recipe};
use shadegrad::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The network, if no other is named.
const MODEL: &str = "case2";

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Options {
    #[command(flatten)]
    new: NewRun,
    #[command(flatten)]
    recipe: Recipe,
    #[command(flatten)]
    data: DataOption,
    #[command(flatten)]
    device: DeviceOption,
    #[command(flatten)]
    tune: TuneOption,
    /// End after so many steps
    #[arg(long, value_name = "N")]
    max_steps: Option<usize>,
    /// Write the loss of every N-th step into metrics.jsonl; 1 reads each step back before the next [default: 50]
    #[arg(long, value_name = "N")]
    log_every: Option<usize>,
    /// Make a checkpoint every so many steps (500) or minutes (10min) too, not only at the end of each epoch
    #[arg(long, value_name = "STEPS|MINUTES")]
    checkpoint_every: Option<Interval>,
    /// Go on with a run from its last checkpoint, or from the checkpoint that is given, to the very weights that it would
    /// have reached without the interruption. What decides them cannot be given again; --epochs, --max-steps and
    /// --patience may be raised, and --patience none ends no run
    #[arg(long, value_name = "RUN", conflicts_with_all = [
        "NewRun", "BatchRecipe", "OptimizerRecipe", "ScheduleRecipe", "RegularizationRecipe",
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

/// What decides the weights of a new run beside its recipe.
#[derive(Args)]
struct NewRun {
    #[arg(long, help = format!(
        "{} [default: {MODEL}]. What it says under [training] is taken as if it were given here, unless it is given here: \
         --optimizer and --schedule also replace what belongs to them there, and `none` switches off where it can be given",
        model_help()
    ))]
    model: Option<String>,
    /// Train as another run did: the same network, data, device and options, but for those that are given here
    #[arg(long, value_name = "RUN", conflicts_with = "model")]
    like: Option<PathBuf>,
    /// The loss that is minimised [default: what the network says, cross-entropy in all presets]
    #[arg(long)]
    loss: Option<Cost>,
    /// What epochs are evaluated on: `test` (the test set), or a share (0.1) or number (5000) of training images that is
    /// held out [default: test]
    #[arg(long, value_name = "test|SPLIT")]
    validation: Option<Validation>,
    /// What pixels are divided by before the network sees them: a byte, or `max`, the brightest of the training images;
    /// evaluate, predict and --resume then do the same [default: 255]
    #[arg(long, value_name = "BYTE|max")]
    scale: Option<Scale>,
    /// Decides initial weights, data order, dropout and augmentation [default: 1]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Run folder; must not exist yet [default: runs/<model>-<date>-<n>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Start from these weights
    #[arg(long, value_name = "FILE.safetensors")]
    init: Option<PathBuf>,
    /// Take the images in the order of the file
    #[arg(long)]
    no_shuffle: bool,
}

pub fn run(options: Options) -> Result<ExitCode> {
    let mut reporter = Reporter::new(options.quiet, options.json);
    let run = match &options.resume {
        None => {
            let run_options = options.run_options(&mut reporter)?;
            pollster::block_on(Run::start(run_options, &mut |event| reporter.hear(&event)))
        }
        Some(folder) => {
            let changes = options.changes();
            pollster::block_on(Run::resume(folder, changes, &mut |event| reporter.hear(&event)))
        }
    };
    reporter.clear();
    let run = run?;
    if run.end == RunEnd::Interrupted {
        let folder = run.folder.display();
        errln!("interrupted; the weights are saved in {folder}\nto go on: shadegrad train --resume {folder}");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let is_first = options.resume.is_none() && options.data.data.is_none();
    reporter.conclude(&run, is_first)?;
    Ok(ExitCode::SUCCESS)
}

impl Options {
    /// What a new run is told.
    fn run_options(&self, reporter: &mut Reporter) -> Result<RunOptions> {
        let mut options = match &self.new.like {
            Some(run) => self.like(run)?,
            None => self.by_recipe(reporter)?,
        };
        let NewRun { loss, validation, scale, seed, out, init, no_shuffle, .. } = &self.new;
        let training = &mut options.training;
        training.step.loss = loss.or(training.step.loss);
        training.seed = seed.unwrap_or(training.seed);
        training.shuffle &= !no_shuffle;
        training.max_steps = self.max_steps.or(training.max_steps);
        training.checkpoint_every = self.checkpoint_every.or(training.checkpoint_every);
        training.find_nan |= self.find_nan;
        options.validation = validation.unwrap_or(options.validation);
        options.scale = scale.unwrap_or(options.scale);
        options.out = out.clone();
        options.init = init.clone().or(options.init);
        options.log_every = self.log_every.unwrap_or(options.log_every);
        options.device = self.device.device.clone().unwrap_or(options.device);
        options.tuning = self.tune.tune.clone();
        options.profile = self.profile;
        options.cache = cache::folder();
        options.compare_with_cpu = !self.is_silent();
        options.check()?;
        Ok(options)
    }

    /// A run of a network by its recipe, with what is given here on top.
    fn by_recipe(&self, reporter: &mut Reporter) -> Result<RunOptions> {
        let model = self.new.model.as_deref().unwrap_or(MODEL);
        let options = RunOptions::new(model)?;
        let recipe = &options.network.recipe;
        let training = self.recipe.complete_over(recipe)?;
        reporter.recipe = recipe.left_by(&self.recipe);
        let data = self.data.source(self.is_silent());
        Ok(RunOptions { training, data, ..options })
    }

    /// A run like another one, with what is given here on top.
    fn like(&self, run: &Path) -> Result<RunOptions> {
        let mut options = RunRecord::read(run)?.run_options()?;
        if self.data.data.is_some() {
            options.data = self.data.source(self.is_silent());
        }
        let recipe = self.recipe.over(&Recipe::from(&options.training)).complete()?;
        options.training = options.training.with_recipe(recipe);
        Ok(options)
    }

    fn is_silent(&self) -> bool {
        self.quiet || self.json
    }

    /// What a run that goes on is told anew.
    fn changes(&self) -> RunChanges {
        RunChanges {
            epochs: self.recipe.length.epochs,
            patience: self.recipe.length.patience,
            max_steps: self.max_steps,
            checkpoint_every: self.checkpoint_every,
            find_nan: self.find_nan,
            log_every: self.log_every,
            data: self.data.data.is_some().then(|| self.data.source(self.is_silent())),
            device: self.device.device.clone(),
            tuning: self.tune.tune.clone(),
            profile: self.profile,
            cache: cache::folder(),
        }
    }
}

/// Options by the names that a command line has for them.
pub fn message(error: &Error) -> String {
    match error {
        Error::Option(error) => error.with_names(|field| format!("--{}", field.replace('_', "-"))),
        error => error.to_string(),
    }
}
