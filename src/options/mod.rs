//! Training options, each defined once.
//!
//! Each file holds a group of options, with their names, help texts, defaults and ranges. A [`Recipe`] is the options
//! given in a network's file or on a command line, [`TrainOptions`] is everything that training needs, and
//! [`StepOptions`] is the part that a training step is compiled for. A new option needs a field in its group's recipe,
//! a line in [`Recipe::complete`], and the code that uses it.

/// Lists the options of a group, so that recipes can be combined: `or` takes from another recipe what this one does not
/// give, `without` drops what another one gives. A field that is not listed is a compile error.
macro_rules! options_of {
    ($group:ident: $($field:ident),*) => {
        impl $group {
            pub(super) fn or(&self, below: &$group) -> $group {
                $group { $($field: self.$field.or(below.$field)),* }
            }

            pub(super) fn without(&self, above: &$group) -> $group {
                $group { $($field: if above.$field.is_some() { None } else { self.$field }),* }
            }
        }
    };
}

mod optimizer;
mod recipe;
mod regularization;
mod schedule;
mod value;

pub use crate::error::OptionError;
pub use optimizer::{Moments, Optimizer, OptimizerKind, OptimizerRecipe};
pub use recipe::{BatchRecipe, LengthRecipe, Recipe};
pub use regularization::RegularizationRecipe;
pub use schedule::{Schedule, ScheduleKind, ScheduleRecipe};
pub use value::{Interval, OrNone, Span};

use crate::error::check;
use crate::ops::augment::Augment;
use crate::ops::softmax::Cost;
use serde::{Deserialize, Serialize};

/// Largest batch size.
pub(crate) const LARGEST_BATCH: usize = 65_536;

/// Options for training a network.
///
/// ```
/// use shadegrad::train::{Optimizer, StepOptions, TrainOptions};
///
/// let step = StepOptions { optimizer: Optimizer::adamw(), weight_decay: 0.01, ..StepOptions::default() };
/// let options = TrainOptions { epochs: 20, learning_rate: 0.001, step, ..TrainOptions::default() };
/// assert!(options.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainOptions {
    /// Passes over the training set.
    pub epochs: usize,
    /// Images per step, over all ranks.
    pub batch_size: usize,
    /// Number of parts in which each rank computes its images of a step, one after another, to use less memory.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// eta of equations 4 and 5; with a schedule, the highest rate.
    pub learning_rate: f32,
    /// How the learning rate changes.
    #[serde(flatten)]
    pub schedule: Schedule,
    /// How long the learning rate rises before the schedule begins.
    #[serde(default)]
    pub warmup: Option<Span>,
    /// Ends the run when the validation loss has not fallen for this many epochs.
    #[serde(default)]
    pub patience: Option<usize>,
    /// Seed of the initial weights, the data order, dropout and augmentation.
    pub seed: u64,
    /// Whether each epoch draws the images in a new order.
    pub shuffle: bool,
    /// Ends the run after this many steps.
    pub max_steps: Option<usize>,
    /// Whether every loss is read back at once, step by step.
    pub every_step: bool,
    /// When to write checkpoints within an epoch, in addition to the one at its end.
    pub checkpoint_every: Option<Interval>,
    /// Whether to find the pass that produced the first number that is not finite. This costs at most one epoch, and
    /// only if there is such a number.
    pub find_nan: bool,
    /// What a training step computes.
    #[serde(flatten)]
    pub step: StepOptions,
}

/// What a training step computes: the options that decide its passes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepOptions {
    /// How gradients change weights.
    #[serde(flatten)]
    pub optimizer: Optimizer,
    /// Weight decay: part of the gradient, or decoupled from it with AdamW.
    pub weight_decay: f32,
    /// The loss to minimize; by default the network's own.
    pub loss: Option<Cost>,
    /// How training images are distorted, if at all.
    #[serde(default)]
    pub augment: Option<Augment>,
    /// Share of each target that is spread over all classes; not applied in validation.
    #[serde(default)]
    pub label_smoothing: f32,
    /// Largest norm of the gradient over all weights; by default, gradients are not clipped.
    #[serde(default)]
    pub clip_norm: Option<f32>,
    /// Whether batch_norm takes its statistics over the images of all ranks, rather than of each rank by itself.
    #[serde(default)]
    pub sync_batch_norm: bool,
    /// Decay of the moving average of the weights; if given, the average is evaluated and saved.
    #[serde(default)]
    pub ema: Option<f32>,
}

/// The default of counts that older files do not give.
pub(crate) fn one() -> usize {
    1
}

impl Default for TrainOptions {
    fn default() -> Self {
        let step = StepOptions::default();
        TrainOptions {
            epochs: 5,
            batch_size: 100,
            accumulate: 1,
            learning_rate: step.optimizer.usual_learning_rate(),
            schedule: Schedule::Constant,
            warmup: None,
            patience: None,
            seed: 1,
            shuffle: true,
            max_steps: None,
            every_step: false,
            checkpoint_every: None,
            find_nan: false,
            step,
        }
    }
}

impl Default for StepOptions {
    fn default() -> Self {
        StepOptions {
            optimizer: Optimizer::default(),
            weight_decay: 0.0,
            loss: None,
            augment: None,
            label_smoothing: 0.0,
            clip_norm: None,
            sync_batch_norm: false,
            ema: None,
        }
    }
}

impl TrainOptions {
    /// Fails unless every value is in its range and fits the others; the message names the field.
    pub fn validate(&self) -> Result<(), OptionError> {
        let rate = self.learning_rate;
        check(self.epochs >= 1, "epochs", "must be at least 1", &self.epochs)?;
        let fits = (1..=LARGEST_BATCH).contains(&self.batch_size);
        check(fits, "batch_size", "must be from 1 to 65536", &self.batch_size)?;
        let fits = (1..=self.batch_size).contains(&self.accumulate);
        check(fits, "accumulate", "must be from 1 to the batch size", &self.accumulate)?;
        check(rate > 0.0 && rate <= 1000.0, "learning_rate", "must be above 0 and at most 1000", &rate)?;
        check(self.patience != Some(0), "patience", "must be at least 1", &0)?;
        check(self.max_steps != Some(0), "max_steps", "must be at least 1", &0)?;
        let never = [Some(Interval::Steps(0)), Some(Interval::Minutes(0))].contains(&self.checkpoint_every);
        check(!never, "checkpoint_every", "must be at least 1", &0)?;
        let none = [Some(Span::Steps(0)), Some(Span::Epochs(0))].contains(&self.warmup);
        check(!none, "warmup", "must be at least 1", &0)?;
        if matches!(self.schedule, Schedule::OneCycle { .. }) && self.warmup.is_some() {
            let problem = OptionError::new("warmup", "cannot be used with ").field("schedule");
            return Err(problem.and(" one-cycle, which rises by itself; give ").field("peak_at"));
        }
        self.schedule.validate()?;
        self.step.validate()
    }

    /// These options with the recipe of others: settings of a single run do not change.
    pub fn with_recipe(&self, recipe: TrainOptions) -> TrainOptions {
        let TrainOptions { seed, shuffle, max_steps, every_step, checkpoint_every, find_nan, ref step, .. } = *self;
        let step = StepOptions { loss: step.loss, ..recipe.step };
        TrainOptions { seed, shuffle, max_steps, every_step, checkpoint_every, find_nan, step, ..recipe }
    }

    /// Whether runs with either options take the same course while both last: the same steps give the same bits. A
    /// schedule with an end depends on the length of the run.
    pub fn same_way(&self, other: &TrainOptions) -> bool {
        let TrainOptions { max_steps, patience, every_step, checkpoint_every, find_nan, .. } = *other;
        let epochs = if self.schedule.has_an_end() { self.epochs } else { other.epochs };
        TrainOptions { epochs, max_steps, patience, every_step, checkpoint_every, find_nan, ..self.clone() } == *other
    }
}

impl StepOptions {
    /// Fails unless every value is in its range; the message names the field.
    pub fn validate(&self) -> Result<(), OptionError> {
        self.optimizer.validate()?;
        let decay = self.weight_decay;
        check((0.0..=1.0).contains(&decay), "weight_decay", "must be from 0 to 1", &decay)?;
        if let Some(Err(problem)) = self.augment.map(|augment| augment.validate()) {
            return Err(OptionError::new("augment", format_args!("is out of range: {problem}")));
        }
        let smoothing = self.label_smoothing;
        check((0.0..1.0).contains(&smoothing), "label_smoothing", "must be at least 0 and below 1", &smoothing)?;
        let norm = self.clip_norm.unwrap_or(1.0);
        check((1e-6..=1e6).contains(&norm), "clip_norm", "must be from 0.000001 to 1000000", &norm)?;
        let ema = self.ema.unwrap_or(0.5);
        check(ema > 0.0 && ema < 1.0, "ema", "must be above 0 and below 1", &ema)
    }
}
