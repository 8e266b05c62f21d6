//! Options of a run.

use super::{Tuning, Validation};
use crate::data::Source;
use crate::data::scale::Scale;
use crate::error::{Error, Result};
use crate::machine::DeviceChoice;
use crate::network::Network;
use crate::train::{Checkpoint, Interval, OptionError, OrNone, Progress, TrainOptions};
use std::path::PathBuf;

/// Options of a new run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The preset or network file, for the record.
    pub model: String,
    /// The network to train.
    pub network: Network,
    /// The training options.
    pub training: TrainOptions,
    /// The source of the images.
    pub data: Source,
    /// The name of the data in the record; by default its absolute path.
    pub data_name: Option<String>,
    /// The images that epochs are evaluated on.
    pub validation: Validation,
    /// The divisor of pixel values.
    pub scale: Scale,
    /// The device to train on.
    pub device: DeviceChoice,
    /// The kernels to use.
    pub tuning: Tuning,
    /// The run folder, which must not exist yet; by default `runs/<network>-<date>-<n>` with the first free n.
    pub out: Option<PathBuf>,
    /// A weights file to start from, instead of weights drawn from the seed.
    pub init: Option<PathBuf>,
    /// Steps between two lines of `metrics.jsonl`; with 1, each step is read back before the next one.
    pub log_every: usize,
    /// Whether to time the dispatches of a step at the end.
    pub profile: bool,
    /// Whether to measure the CPU engine if the shaders run on a software driver.
    pub compare_with_cpu: bool,
    /// The folder that keeps the fastest kernels and the speed of the CPU for other runs; by default they are not kept.
    pub cache: Option<PathBuf>,
}

impl RunOptions {
    /// Default number of steps between two lines of `metrics.jsonl`.
    pub const LOG_EVERY: usize = 50;

    /// Options for training a preset or a network file by its own recipe, on the built-in digits.
    ///
    /// # Errors
    ///
    /// Those of [`Network::open`] and [`Recipe::complete`](crate::train::Recipe::complete).
    pub fn new(model: &str) -> Result<RunOptions> {
        let network = Network::open(model)?;
        Ok(RunOptions {
            model: model.to_string(),
            training: network.recipe.complete()?,
            network,
            data: Source::resolve(Some("builtin"), None).0,
            data_name: None,
            validation: Validation::Test,
            scale: Scale::default(),
            device: DeviceChoice::default(),
            tuning: Tuning::Cached,
            out: None,
            init: None,
            log_every: RunOptions::LOG_EVERY,
            profile: false,
            compare_with_cpu: false,
            cache: None,
        })
    }

    /// Fails unless every value is in its range and fits the others.
    pub fn check(&self) -> Result<()> {
        self.training.validate()?;
        check_log_every(self.log_every)
    }
}

fn check_log_every(every: usize) -> Result<()> {
    if every == 0 {
        return Err(Error::Option(OptionError::new("log_every", "must be at least 1, got 0")));
    }
    Ok(())
}

/// Changes to a run that is resumed. Options that decide its bits cannot be changed.
#[derive(Clone, Debug, Default)]
pub struct RunChanges {
    /// Passes over the training set; at least as many as are already done.
    pub epochs: Option<usize>,
    /// Maximum number of steps; at least as many as are already done.
    pub max_steps: Option<usize>,
    /// Ends the run when the validation loss has not fallen for this many epochs; `none` turns this off.
    pub patience: Option<OrNone<usize>>,
    /// When to write checkpoints within an epoch.
    pub checkpoint_every: Option<Interval>,
    /// Whether to find the pass that produced the first number that is not finite.
    pub find_nan: bool,
    /// Steps between two lines of `metrics.jsonl`.
    pub log_every: Option<usize>,
    /// The current location of the data.
    pub data: Option<Source>,
    /// Another device, on which the bits may differ.
    pub device: Option<DeviceChoice>,
    /// The kernels to use on another device.
    pub tuning: Tuning,
    /// Whether to time the dispatches of a step at the end.
    pub profile: bool,
    /// The folder that keeps the fastest kernels.
    pub cache: Option<PathBuf>,
}

impl RunChanges {
    /// Applies the changes to a checkpoint.
    pub(super) fn apply(&self, checkpoint: &mut Checkpoint, log_every: usize) -> Result<()> {
        let Checkpoint { options, state, .. } = checkpoint;
        let Progress { epochs, step, .. } = state.progress;
        self.check_length(options)?;
        check_done("epochs", self.epochs, epochs)?;
        check_done("max_steps", self.max_steps, step)?;
        check_log_every(log_every)?;
        options.epochs = self.epochs.unwrap_or(options.epochs);
        options.max_steps = self.max_steps.or(options.max_steps);
        options.patience = self.patience.map_or(options.patience, |patience| patience.0);
        options.checkpoint_every = self.checkpoint_every.or(options.checkpoint_every);
        options.every_step = log_every == 1;
        options.find_nan = self.find_nan;
        Ok(options.validate()?)
    }

    /// Rejects another number of epochs if the schedule's learning rates depend on it.
    fn check_length(&self, options: &TrainOptions) -> Result<(), OptionError> {
        let TrainOptions { schedule, epochs: begun, .. } = options;
        match self.epochs {
            Some(given) if schedule.has_an_end() && given != *begun => {
                let problem = format!(
                    "must stay {begun}, over which the schedule `{}` is laid, got {given}; to train on, start a new run \
                     from its weights by ",
                    schedule.name()
                );
                Err(OptionError::new("epochs", problem).field("init"))
            }
            _ => Ok(()),
        }
    }
}

fn check_done(field: &'static str, given: Option<usize>, done: usize) -> Result<(), OptionError> {
    match given {
        Some(given) if given < done => {
            Err(OptionError::new(field, format!("must be at least {done}, which the run has done, got {given}")))
        }
        _ => Ok(()),
    }
}
