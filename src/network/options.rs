//! What a network is compiled for.

use super::{Optimizer, OptimizerState};
use crate::ops::augment::Augment;
use crate::ops::softmax::Cost;

/// What a plan is for.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// N, images a step.
    pub batch: usize,
    /// Images of the training set; none leaves out the training section.
    pub train_images: usize,
    /// Images of the test set; none leaves out the evaluation section.
    pub test_images: usize,
    /// Whether there is a prediction section.
    pub predict: bool,
    /// How gradients change weights.
    pub optimizer: Optimizer,
    /// mu of [`crate::ops::sgd::Update`].
    pub momentum: f32,
    /// Whether to look ahead.
    pub nesterov: bool,
    /// Pull of the weights towards zero.
    pub weight_decay: f32,
    /// Of [`crate::ops::adam::Update`].
    pub beta1: f32,
    /// Likewise.
    pub beta2: f32,
    /// Likewise.
    pub epsilon: f32,
    /// What is minimised; the network's own choice if not given.
    pub cost: Option<Cost>,
    /// Largest norm of the gradient of all weights together; else it is taken as it is.
    pub clip_norm: Option<f32>,
    /// Share of the weights' average that a step keeps; else there is none.
    pub ema: Option<f32>,
    /// What of a target is given to all classes alike, while training; of the cross-entropy.
    pub label_smoothing: f32,
    /// How training images are distorted, if they are.
    pub augment: Option<Augment>,
    /// Steps whose loss and correct count are kept on the device.
    pub slots: usize,
}

impl Default for CompileOptions {
    /// No section; batches of 100, gradient descent without momentum.
    fn default() -> Self {
        CompileOptions {
            batch: 100,
            train_images: 0,
            test_images: 0,
            predict: false,
            optimizer: Optimizer::Sgd,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            cost: None,
            label_smoothing: 0.0,
            clip_norm: None,
            ema: None,
            augment: None,
            slots: 1,
        }
    }
}

impl CompileOptions {
    /// What a training step keeps beside the weights.
    pub(super) fn optimizer_states(&self) -> Vec<OptimizerState> {
        OptimizerState::needed(self.optimizer, self.momentum, self.ema.is_some())
    }
}
