//! How to train: what a run is told, and what of it decides the bits of its weights.

use super::schedule::{Rates, Schedule, Span};
use crate::data::DataPair;
use crate::error::{Error, Result};
use crate::network::{CompileOptions, Compiled, LARGEST_BATCH, Network, NetworkLayer, Optimizer, OptimizerState};
use crate::ops::adam;
use crate::ops::augment::Augment;
use crate::ops::softmax::Cost;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainOptions {
    /// Passes over the training set.
    pub epochs: usize,
    /// Images a step.
    pub batch_size: usize,
    /// eta of equations 4 and 5; with a schedule the highest.
    pub learning_rate: f32,
    /// mu of sgd; 0 is plain gradient descent.
    pub momentum: f32,
    /// Whether to look ahead along it.
    pub nesterov: bool,
    /// Pull of the weights towards zero: in the gradient, with adamw beside it.
    pub weight_decay: f32,
    /// What is minimised; the network's own if not given.
    pub loss: Option<Cost>,
    /// How training images are distorted, if they are.
    #[serde(default)]
    pub augment: Option<Augment>,
    /// What of a target is given to all classes alike; validation knows nothing of it.
    #[serde(default)]
    pub label_smoothing: f32,
    /// Largest norm of the gradient of all weights together.
    #[serde(default)]
    pub clip_norm: Option<f32>,
    /// Share of the weights' average that a step keeps; the average is then what is evaluated and written.
    #[serde(default)]
    pub ema: Option<f32>,
    /// Of the initial weights, the data order, dropout and augmentation.
    pub seed: u64,
    /// Whether each epoch draws the images in a new order.
    pub shuffle: bool,
    /// Ends the run after so many steps.
    pub max_steps: Option<usize>,
    /// Reads every loss back at once, step by step.
    pub every_step: bool,
    /// When checkpoints are made within an epoch; the end of an epoch makes one anyway.
    pub checkpoint_every: Option<Interval>,
    /// Whether the pass is named that made the first number that is not finite; costs an epoch at most, in that case only.
    pub find_nan: bool,
    /// Ends the run when the validation loss has not fallen for so many epochs.
    #[serde(default)]
    pub patience: Option<usize>,
    /// How gradients change weights.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// Of adam and adamw: share of the first moment that is kept.
    #[serde(default = "default_beta1")]
    pub beta1: f32,
    /// Of adam and adamw: share of the second moment that is kept.
    #[serde(default = "default_beta2")]
    pub beta2: f32,
    /// Of adam and adamw: what keeps a step finite where gradients are zero.
    #[serde(default = "default_epsilon")]
    pub epsilon: f32,
    /// How the learning rate changes.
    #[serde(default)]
    pub schedule: Schedule,
    /// How long it rises before that.
    #[serde(default)]
    pub warmup: Option<Span>,
}

// What checkpoints from before these options stand for.
fn default_beta1() -> f32 {
    0.9
}
fn default_beta2() -> f32 {
    0.999
}
fn default_epsilon() -> f32 {
    1e-8
}

impl Default for TrainOptions {
    fn default() -> Self {
        TrainOptions {
            epochs: 5,
            batch_size: 100,
            learning_rate: 0.03,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 0.0,
            loss: None,
            augment: None,
            label_smoothing: 0.0,
            clip_norm: None,
            ema: None,
            seed: 1,
            shuffle: true,
            max_steps: None,
            every_step: false,
            checkpoint_every: None,
            find_nan: false,
            patience: None,
            optimizer: Optimizer::Sgd,
            beta1: default_beta1(),
            beta2: default_beta2(),
            epsilon: default_epsilon(),
            schedule: Schedule::Constant,
            warmup: None,
        }
    }
}

/// Whether batches of this size leave one image for the last.
fn leaves_one(images: usize, batch: usize) -> bool {
    images.checked_rem(batch) == Some(1)
}

impl TrainOptions {
    /// Every value inside its range; the message names the option.
    pub fn validate(&self) -> Result<()> {
        let expect = |fine: bool, what: &str, got: &dyn std::fmt::Display| {
            if fine { Ok(()) } else { Err(Error::Usage(format!("{what}, got {got}"))) }
        };
        let rate = f64::from(self.learning_rate);
        expect(self.epochs >= 1, "--epochs must be at least 1", &self.epochs)?;
        let fits = (1..=LARGEST_BATCH).contains(&self.batch_size);
        expect(fits, "--batch-size must be from 1 to 65536", &self.batch_size)?;
        expect(rate > 0.0 && rate <= 1000.0, "--learning-rate must be above 0 and at most 1000", &rate)?;
        expect((0.0..1.0).contains(&self.momentum), "--momentum must be at least 0 and below 1", &self.momentum)?;
        let decay = self.weight_decay;
        expect((0.0..=1.0).contains(&decay), "--weight-decay must be from 0 to 1", &decay)?;
        let sgd = self.optimizer == Optimizer::Sgd;
        expect(sgd || !self.nesterov, "--nesterov belongs to --optimizer sgd", &self.optimizer)?;
        expect((0.0..1.0).contains(&self.beta1), "--beta1 must be at least 0 and below 1", &self.beta1)?;
        expect((0.0..1.0).contains(&self.beta2), "--beta2 must be at least 0 and below 1", &self.beta2)?;
        expect((1e-12..=1.0).contains(&self.epsilon), "--epsilon must be from 1e-12 to 1", &self.epsilon)?;
        expect(!self.nesterov || self.momentum > 0.0, "--nesterov needs --momentum above 0", &self.momentum)?;
        self.augment.map_or(Ok(()), |augment| augment.validate())?;
        let smoothing = self.label_smoothing;
        expect((0.0..1.0).contains(&smoothing), "--label-smoothing must be at least 0 and below 1", &smoothing)?;
        let norm = self.clip_norm.unwrap_or(1.0);
        expect((1e-6..=1e6).contains(&norm), "--clip-norm must be from 0.000001 to 1000000", &norm)?;
        let ema = self.ema.unwrap_or(0.5);
        expect(ema > 0.0 && ema < 1.0, "--ema must be above 0 and below 1", &ema)?;
        expect(self.patience != Some(0), "--patience must be at least 1", &0)?;
        expect(self.max_steps != Some(0), "--max-steps must be at least 1", &0)?;
        let never = [Some(Interval::Steps(0)), Some(Interval::Minutes(0))].contains(&self.checkpoint_every);
        expect(!never, "--checkpoint-every must be at least 1", &0)?;
        let none = [Some(Span::Steps(0)), Some(Span::Epochs(0))].contains(&self.warmup);
        expect(!none, "--warmup must be at least 1", &0)?;
        if matches!(self.schedule, Schedule::OneCycle { .. }) && self.warmup.is_some() {
            let problem = "--warmup cannot be used with --schedule one-cycle, which rises by itself; give --peak-at";
            return Err(Error::Usage(problem.into()));
        }
        self.schedule.validate()
    }
}

impl TrainOptions {
    /// Images a step: no more than there are.
    pub(super) fn batch(&self, data: &DataPair) -> usize {
        self.batch_size.min(data.train.len().max(data.test.len()))
    }

    /// What a step needs beside the weights.
    pub(crate) fn optimizer_states(&self) -> Vec<OptimizerState> {
        OptimizerState::needed(self.optimizer, self.momentum, self.ema.is_some())
    }

    /// c1 and c2 of a step, from 0.
    pub(super) fn corrections(&self, step: usize) -> [f32; 2] {
        match self.optimizer {
            Optimizer::Sgd => [1.0; 2],
            Optimizer::Adam | Optimizer::AdamW => adam::corrections(self.beta1, self.beta2, step),
        }
    }

    /// The learning rate of each step.
    pub(super) fn rates(&self, data: &DataPair) -> Result<Rates> {
        let images = data.train.len();
        let epoch_steps = images.div_ceil(self.batch_size.min(images).max(1));
        Rates::new(self.learning_rate, self.schedule, self.warmup, epoch_steps, self.epochs)
    }

    /// The network as [`Trainer::new`](super::Trainer::new) will run it: what there is to tune.
    pub fn compile(&self, network: &Network, data: &DataPair) -> Result<Compiled> {
        self.validate()?;
        network.check_fit(&data.train)?;
        network.check_fit(&data.test)?;
        self.rates(data)?;
        let images = data.train.len();
        self.check_statistics(network, images)?;
        let batch = self.batch(data);
        let slots = images.div_ceil(batch).max(data.test.len().div_ceil(batch));
        let test_images = data.test.len();
        let step = self.compile_options();
        network.compile(&CompileOptions { batch, train_images: images, test_images, slots, ..step })
    }

    /// Refuses a step that takes the variance of a single value: that is 0, and so is the gradient of all before it.
    fn check_statistics(&self, network: &Network, images: usize) -> Result<()> {
        let is_single = |at: &&NetworkLayer| at.layer.batch_statistics(at.input) == Some(1);
        let Some(layer) = network.layers.iter().find(is_single) else { return Ok(()) };
        let batch = self.batch_size.min(images);
        let is_last_reached = self.max_steps.is_none_or(|most| most >= images.div_ceil(batch.max(1)));
        if batch != 1 && !(is_last_reached && leaves_one(images, batch)) {
            return Ok(());
        }
        let which = if batch == 1 { "each step" } else { "the last step of an epoch" };
        let larger = (batch + 1..=LARGEST_BATCH.min(images)).find(|batch| !leaves_one(images, *batch));
        let other = larger.or_else(|| (2..batch).rev().find(|batch| !leaves_one(images, *batch)));
        let remedy =
            other.map_or("there must be more training images".into(), |batch| format!("take --batch-size {batch}"));
        Err(Error::Usage(format!(
            "{} `{}` wants at least 2 images a step, for the variance of each channel, and {which} has 1 ({images} \
             training images in batches of {batch}); {remedy}",
            layer.layer.kind(),
            layer.name
        )))
    }

    /// What a step of so many images is compiled for; no section as yet.
    pub fn compile_options(&self) -> CompileOptions {
        CompileOptions {
            batch: self.batch_size,
            optimizer: self.optimizer,
            momentum: self.momentum,
            nesterov: self.nesterov,
            weight_decay: self.weight_decay,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            cost: self.loss,
            augment: self.augment,
            label_smoothing: self.label_smoothing,
            clip_norm: self.clip_norm,
            ema: self.ema,
            ..CompileOptions::default()
        }
    }
}

impl TrainOptions {
    /// Whether runs with either options go the same way, as far as both go: the same steps give the same bits. A schedule
    /// that has an end lies elsewhere in a run of another length.
    pub fn same_way(&self, other: &TrainOptions) -> bool {
        let TrainOptions { max_steps, patience, every_step, checkpoint_every, find_nan, .. } = *other;
        let epochs = if self.schedule.has_an_end() { self.epochs } else { other.epochs };
        TrainOptions { epochs, max_steps, patience, every_step, checkpoint_every, find_nan, ..self.clone() } == *other
    }
}

/// Time between two checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Interval {
    /// A number of steps: `500`, `500steps`.
    Steps(usize),
    /// A number of minutes: `10min`.
    Minutes(u64),
}

impl Interval {
    /// Steps from `step` to the next checkpoint, as far as steps decide it.
    pub(super) fn left(self, step: usize) -> usize {
        match self {
            Interval::Steps(every) => every - step % every,
            Interval::Minutes(_) => usize::MAX,
        }
    }

    /// Whether there is to be a checkpoint after `step`, some time after the last one.
    pub(super) fn is_due(self, step: usize, since: Duration) -> bool {
        match self {
            Interval::Steps(every) => step.is_multiple_of(every),
            Interval::Minutes(minutes) => since.as_secs() / 60 >= minutes,
        }
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Interval, String> {
        let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let number = digits.parse().ok().filter(|number| *number > 0);
        match (number, &text[digits.len()..]) {
            (Some(steps), "" | "step" | "steps") => Ok(Interval::Steps(steps)),
            (Some(minutes), "min") => Ok(Interval::Minutes(minutes as u64)),
            _ => Err("expected a number of steps or of minutes, at least 1: 500, 500steps, 10min".into()),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Interval::Steps(steps) => write!(f, "{steps}steps"),
            Interval::Minutes(minutes) => write!(f, "{minutes}min"),
        }
    }
}

impl From<Interval> for String {
    fn from(interval: Interval) -> String {
        interval.to_string()
    }
}

impl TryFrom<String> for Interval {
    type Error = String;

    fn try_from(text: String) -> Result<Interval, String> {
        text.parse()
    }
}
