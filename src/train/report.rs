//! What a run says of itself: events for the observer, and how it ended.

use super::Checkpoint;
use crate::evaluate::Evaluation;
use crate::machine::Device;
use crate::network::Weights;
use serde::{Deserialize, Serialize};

/// What the observer hears.
pub enum Event<'a> {
    /// Some steps are done.
    Steps(StepsReport<'a>),
    /// An epoch is done and evaluated; the weights are what was evaluated ([`super::State::model`]).
    Epoch(&'a EpochReport, &'a Weights),
    /// The run can go on from here: after each epoch, and within it as [`TrainOptions::checkpoint_every`] says.
    ///
    /// [`TrainOptions::checkpoint_every`]: super::TrainOptions::checkpoint_every
    Checkpoint(&'a Checkpoint),
    /// The device was lost and opened anew; the run goes on from the last checkpoint. Steps that the observer has heard of
    /// are done again in silence.
    Recovery(Recovery<'a>),
}

/// A device that was lost and opened anew.
pub struct Recovery<'a> {
    /// What happened to it.
    pub problem: &'a str,
    /// How often this has been done for this run, from 1.
    pub times: usize,
    /// The step of the last checkpoint.
    pub step: usize,
    /// Steps that are submitted at once from now on, at most.
    pub most_steps: usize,
    /// The device as it is now.
    pub device: &'a Device,
}

/// A run of steps.
#[derive(Debug)]
pub struct StepsReport<'a> {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Number of the first of these steps over the whole run, from 1.
    pub first_step: usize,
    /// Mean loss of each.
    pub losses: &'a [f64],
    /// Steps of this epoch that are done.
    pub done: usize,
    /// Steps of this epoch.
    pub steps: usize,
    /// Mean loss of this epoch so far.
    pub epoch_loss: f64,
    /// Images a second, in this epoch so far.
    pub images_per_second: f64,
}

/// What an epoch has reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Steps done over the whole run.
    pub step: usize,
    /// Mean over the epoch's images, each seen with the weights of its step and with dropout.
    pub train_loss: f64,
    /// Share of the epoch's images, seen likewise.
    pub train_accuracy: f64,
    /// Mean over the validation set.
    pub val_loss: f64,
    /// Share of the validation set.
    pub val_accuracy: f64,
    /// Seconds of training, without the evaluation.
    pub seconds: f64,
    /// Images trained on a second.
    pub images_per_second: f64,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Epochs done and evaluated by this call.
    pub epochs: Vec<EpochReport>,
    /// The last evaluation. None only of a run that was ended before its first.
    pub evaluation: Option<Evaluation>,
    /// Whether the observer ended it.
    pub interrupted: bool,
}
