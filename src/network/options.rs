//! What a network is compiled for.

use crate::options::{Optimizer, StepOptions};

/// What a plan is for: its sections, their sizes, and what a training step computes.
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
    /// Steps whose loss and correct count are kept on the device.
    pub slots: usize,
    /// What a training step computes.
    pub step: StepOptions,
}

impl Default for CompileOptions {
    /// No section; batches of 100, gradient descent without momentum.
    fn default() -> Self {
        let step = StepOptions { optimizer: Optimizer::sgd(0.0), ..StepOptions::default() };
        CompileOptions { batch: 100, train_images: 0, test_images: 0, predict: false, slots: 1, step }
    }
}
