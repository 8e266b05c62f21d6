//! Options for compiling a network.

use crate::options::{Optimizer, StepOptions};

/// The sections of a plan, their sizes, and what a training step computes.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// Images per step, N.
    pub batch: usize,
    /// Images in the training set; 0 leaves out the training section.
    pub train_images: usize,
    /// Images in the test set; 0 leaves out the evaluation section.
    pub test_images: usize,
    /// Whether to include a prediction section.
    pub predict: bool,
    /// Number of steps whose losses and correct counts are kept on the device.
    pub slots: usize,
    /// What a training step computes.
    pub step: StepOptions,
}

impl Default for CompileOptions {
    /// No sections; batches of 100, gradient descent without momentum.
    fn default() -> Self {
        let step = StepOptions { optimizer: Optimizer::sgd(0.0), ..StepOptions::default() };
        CompileOptions { batch: 100, train_images: 0, test_images: 0, predict: false, slots: 1, step }
    }
}
