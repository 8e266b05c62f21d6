//! What a run reports: events for the observer, and how it ended.

use super::Checkpoint;
use crate::evaluate::Evaluation;
use crate::machine::Device;
use crate::network::Weights;
use serde::{Deserialize, Serialize};

/// An event for the observer.
pub enum Event<'a> {
    /// Some steps were done.
    Steps(StepsReport<'a>),
    /// An epoch was finished and evaluated, with the weights that were evaluated ([`super::State::model`]).
    Epoch(&'a EpochReport, &'a Weights),
    /// The run can be resumed from here: after each epoch, and within it as [`TrainOptions::checkpoint_every`] says.
    ///
    /// [`TrainOptions::checkpoint_every`]: super::TrainOptions::checkpoint_every
    Checkpoint(&'a Checkpoint),
    /// The device was lost and reopened; the run continues from the last checkpoint. Steps that were already reported
    /// are repeated without events.
    Recovery(Recovery<'a>),
}

/// A device that was lost and reopened.
pub struct Recovery<'a> {
    /// Why the device was lost.
    pub problem: &'a str,
    /// Number of recoveries in this run, from 1.
    pub times: usize,
    /// The step of the last checkpoint.
    pub step: usize,
    /// Most steps per submit from now on.
    pub most_steps: usize,
    /// The reopened device.
    pub device: &'a Device,
}

/// A run of steps.
#[derive(Debug)]
pub struct StepsReport<'a> {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Number of the first of these steps, counted over the whole run, from 1.
    pub first_step: usize,
    /// Mean loss of each step.
    pub losses: &'a [f64],
    /// Steps of this epoch that are done.
    pub done: usize,
    /// Steps of this epoch.
    pub steps: usize,
    /// Mean loss of this epoch so far.
    pub epoch_loss: f64,
    /// Images per second, in this epoch so far.
    pub images_per_second: f64,
}

/// Results of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Steps done since the start of the run.
    pub step: usize,
    /// Mean loss over the epoch's training images, each with the weights of its step and with dropout.
    pub train_loss: f64,
    /// Fraction of the epoch's training images classified correctly, measured likewise.
    pub train_accuracy: f64,
    /// Mean loss over the validation set.
    pub val_loss: f64,
    /// Fraction of the validation set classified correctly.
    pub val_accuracy: f64,
    /// Training time in seconds, without the evaluation.
    pub seconds: f64,
    /// Training speed in images per second.
    pub images_per_second: f64,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Results of the epochs finished by this call.
    pub epochs: Vec<EpochReport>,
    /// The last evaluation. `None` only if the run was ended before its first.
    pub evaluation: Option<Evaluation>,
    /// Whether the observer ended the run.
    pub interrupted: bool,
}
