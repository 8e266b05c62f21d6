//! What a run is told.

use super::{Tuning, Validation};
use crate::data::Source;
use crate::data::scale::Scale;
use crate::error::{Error, Result};
use crate::machine::DeviceChoice;
use crate::network::Network;
use crate::train::{Checkpoint, Interval, OptionError, OrNone, Progress, TrainOptions};
use std::path::PathBuf;

/// What a new run is told.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The preset or file that the network is from, for the record.
    pub model: String,
    /// What is trained.
    pub network: Network,
    /// How it is trained.
    pub training: TrainOptions,
    /// Where the images are from.
    pub data: Source,
    /// How the record names the data; if not given, by its absolute path.
    pub data_name: Option<String>,
    /// What epochs are evaluated on.
    pub validation: Validation,
    /// What pixels are divided by.
    pub scale: Scale,
    /// What it is trained on.
    pub device: DeviceChoice,
    /// Which kernels are taken.
    pub tuning: Tuning,
    /// The folder of the run, which must not exist yet; if not given, `runs/<network>-<date>-<n>` with the first free n.
    pub out: Option<PathBuf>,
    /// A file of weights to start from, in place of weights that are drawn by the seed.
    pub init: Option<PathBuf>,
    /// Steps between two lines of `metrics.jsonl`; 1 reads each step back before the next.
    pub log_every: usize,
    /// Whether the dispatches of a step are timed at the end.
    pub profile: bool,
    /// Whether the CPU engine is measured where the shaders run on a software driver.
    pub compare_with_cpu: bool,
    /// The folder in which the fastest kernels and the speed of the CPU are kept for other runs; if not given, they are not.
    pub cache: Option<PathBuf>,
}

impl RunOptions {
    /// Steps between two lines of `metrics.jsonl`, where nobody says otherwise.
    pub const LOG_EVERY: usize = 50;

    /// A run of a preset or a network file by its own recipe, on the built-in digits.
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

    /// Fails unless every value lies in its range and fits the others.
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

/// What a run that goes on is told anew. What decides its bits cannot be.
#[derive(Clone, Debug, Default)]
pub struct RunChanges {
    /// Passes over the training set, no fewer than are done.
    pub epochs: Option<usize>,
    /// Most steps, no fewer than are done.
    pub max_steps: Option<usize>,
    /// Epochs that the validation loss may stay as it is; none ends no run.
    pub patience: Option<OrNone<usize>>,
    /// When checkpoints are made within an epoch.
    pub checkpoint_every: Option<Interval>,
    /// Whether the pass is named that made the first number that is not finite.
    pub find_nan: bool,
    /// Steps between two lines of `metrics.jsonl`.
    pub log_every: Option<usize>,
    /// Where the data is now.
    pub data: Option<Source>,
    /// Another device, on which the bits may differ.
    pub device: Option<DeviceChoice>,
    /// Which kernels are taken on another device.
    pub tuning: Tuning,
    /// Whether the dispatches of a step are timed at the end.
    pub profile: bool,
    /// The folder in which the fastest kernels are kept.
    pub cache: Option<PathBuf>,
}

impl RunChanges {
    /// Tells a checkpoint what the run may be told anew.
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

    /// Refuses another number of epochs for a run whose learning rates were laid over those that it has.
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
