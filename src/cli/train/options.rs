//! The options of `shadegrad train`, and what they come to.

use super::optimizer::OptimizerOptions;
use super::or_none::OrNone;
use super::schedule::{self, ScheduleOptions};
use crate::cli::tune::TuneOption;
use crate::cli::{DataOption, DeviceOption};
use clap::{ArgMatches, Args, FromArgMatches, ValueEnum};
use shadegrad::checkpoint::Checkpoint;
use shadegrad::data::scale::Scale;
use shadegrad::data::{DataPair, Share, Source};
use shadegrad::network::Recipe;
use shadegrad::ops::augment::Augment;
use shadegrad::ops::softmax::Cost;
use shadegrad::train::{Interval, Progress, TrainOptions};
use shadegrad::{Error, Result};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Options {
    #[arg(long, default_value = "case2", help = format!(
        "{}. What it says under [training] is taken as if it were given here, unless it is given here: --optimizer and \
         --schedule also replace what belongs to them there, and `none` switches off where it can be given",
        crate::cli::model_help()
    ))]
    pub(super) model: String,
    #[command(flatten)]
    pub(super) data: DataOption,
    /// Passes over the training set [default: 5]
    #[arg(long)]
    pub(super) epochs: Option<usize>,
    /// Images a step
    #[arg(long, default_value_t = 100)]
    pub(super) batch_size: usize,
    #[command(flatten)]
    pub(super) optimizer: OptimizerOptions,
    #[command(flatten)]
    pub(super) schedule: ScheduleOptions,
    /// What is minimised [default: what the network says, cross-entropy in all presets]
    #[arg(long)]
    pub(super) loss: Option<LossOption>,
    /// Share of a target that is given to all classes alike while training; of the cross-entropy
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(super) label_smoothing: f32,
    /// Distort each training image anew: `digits`, or the most of each to either side, as in
    /// shift=2,rotation=10,scale=0.1,shear=0.1,elastic=1.5 (pixels, degrees, share, tangent, pixels)
    #[arg(long, value_name = "AMOUNTS|none")]
    pub(super) augment: Option<OrNone<Augment>>,
    /// What epochs are judged by: `test` (the test set), or a share (0.1) or number (5000) of training images that is
    /// held out
    #[arg(long, value_name = "test|SPLIT", default_value = "test")]
    pub(super) validation: Validation,
    /// What pixels are divided by before the network sees them: a byte, or `max`, the brightest of the training images;
    /// evaluate, predict and --resume then do the same
    #[arg(long, value_name = "BYTE|max", default_value_t)]
    pub(super) scale: Scale,
    /// Of weights, data order, dropout and augmentation
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) device: DeviceOption,
    #[command(flatten)]
    pub(super) tune: TuneOption,
    /// Run folder; must not exist yet [default: runs/<model>-<date>-<n>]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Start from these weights
    #[arg(long, value_name = "FILE.safetensors")]
    pub(super) init: Option<PathBuf>,
    /// Take the images in the order of the file
    #[arg(long)]
    pub(super) no_shuffle: bool,
    /// End after so many steps
    #[arg(long, value_name = "N")]
    pub(super) max_steps: Option<usize>,
    /// End when the validation loss has not fallen for so many epochs
    #[arg(long, value_name = "EPOCHS|none")]
    pub(super) patience: Option<OrNone<usize>>,
    /// Write the loss of every N-th step into metrics.jsonl; 1 reads each step back before the next [default: 50]
    #[arg(long, value_name = "N")]
    pub(super) log_every: Option<usize>,
    /// Make a checkpoint every so many steps (500) or minutes (10min) too, not only at the end of each epoch
    #[arg(long, value_name = "STEPS|MINUTES")]
    pub(super) checkpoint_every: Option<Interval>,
    /// Go on with a run from its last checkpoint, or from the checkpoint that is given, to the very weights that it would
    /// have reached without the interruption. What decides them cannot be given again; --epochs, --max-steps and
    /// --patience may be raised, and --patience none ends no run
    #[arg(long, value_name = "RUN", conflicts_with_all = [
        "model", "batch_size", "optimizer", "beta1", "beta2", "epsilon", "learning_rate", "momentum", "nesterov",
        "weight_decay", "clip_norm", "ema", "loss", "label_smoothing", "augment", "validation", "scale", "seed", "out", "init",
        "no_shuffle", "schedule", "step_size", "gamma", "peak_at", "start_factor", "end_factor", "warmup",
    ])]
    pub(super) resume: Option<PathBuf>,
    /// If a loss is not finite, do the steps since the last checkpoint again and name the layer and kernel that made the
    /// first such number
    #[arg(long)]
    pub(super) find_nan: bool,
    /// Time the dispatches of a step when the training is over, as `bench kernels` does; costs about two seconds, or
    /// seven steps where they are slow, and changes no weight
    #[arg(long)]
    pub(super) profile: bool,
    /// Print nothing but errors
    #[arg(long)]
    pub(super) quiet: bool,
    /// Print the lines of metrics.jsonl instead of text
    #[arg(long)]
    pub(super) json: bool,
    /// What stands before the bar where another command trains, which is then all that is to be seen
    #[arg(skip)]
    pub(super) title: Option<String>,
    /// What of all this is from the network's file
    #[arg(skip)]
    pub(super) recipe: Recipe,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum LossOption {
    CrossEntropy,
    Quadratic,
}

#[derive(Clone, Copy, Debug)]
pub enum Validation {
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
    pub fn divide(self, mut data: DataPair, seed: u64) -> Result<DataPair> {
        if let Validation::HeldOut(share) = self {
            let count = share.of(data.train.len());
            (data.train, data.test) = data.train.hold_out(count, seed)?;
        }
        Ok(data)
    }
}

impl Options {
    /// What these arguments of `shadegrad train` ask for, in silence but for a bar behind a title. They say all: what the
    /// network's file says of its training is not asked.
    pub fn parse(arguments: &[OsString], title: &str) -> Result<Options> {
        let options = Options::from_arguments(arguments).map_err(|error| Error::Usage(error.render().to_string()))?;
        Ok(Options { quiet: true, title: Some(title.to_string()), ..options })
    }

    pub(super) fn from_arguments(arguments: &[OsString]) -> Result<Options, clap::Error> {
        Options::from_arg_matches(&Options::matches(arguments)?)
    }

    /// What is given by arguments, and what stands for the rest.
    pub(super) fn matches(arguments: &[OsString]) -> Result<ArgMatches, clap::Error> {
        Options::command().try_get_matches_from(arguments)
    }

    pub(super) fn command() -> clap::Command {
        Options::augment_args(clap::Command::new("train").no_binary_name(true))
    }

    /// How to train, every value inside its range.
    pub fn train_options(&self) -> Result<TrainOptions> {
        let options = TrainOptions {
            epochs: self.epochs.unwrap_or(TrainOptions::default().epochs),
            batch_size: self.batch_size,
            loss: self.loss.map(|loss| match loss {
                LossOption::CrossEntropy => Cost::CrossEntropy,
                LossOption::Quadratic => Cost::Quadratic,
            }),
            label_smoothing: self.label_smoothing,
            augment: self.augment.and_then(|augment| augment.0),
            seed: self.seed,
            shuffle: !self.no_shuffle,
            max_steps: self.max_steps,
            patience: self.patience.and_then(|patience| patience.0),
            every_step: self.log_every == Some(1),
            checkpoint_every: self.checkpoint_every,
            find_nan: self.find_nan,
            schedule: self.schedule.schedule()?,
            warmup: self.schedule.warmup.and_then(|warmup| warmup.0),
            ..TrainOptions::default()
        };
        let options = self.optimizer.apply(options)?;
        options.validate()?;
        self.check()?;
        Ok(options)
    }

    /// Tells a run that goes on what it may be told anew.
    pub fn change(&self, checkpoint: &mut Checkpoint, log_every: usize) -> Result<()> {
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
        options.patience = self.patience.map_or(options.patience, |patience| patience.0);
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

    /// As `run.toml` names the data: for `--resume` from any folder. Another command that trains gives it again whenever it
    /// goes on, and what it makes may be published: there it stays as it was given.
    pub(super) fn data_of_record(&self, source: &Source) -> String {
        let given = self.data.data.as_ref().filter(|_| self.title.is_some());
        given.map_or_else(|| source.to_string(), String::clone)
    }

    pub fn silent(&self) -> bool {
        self.quiet || self.json
    }
}
