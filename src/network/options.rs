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
    /// Number of ranks that train together; with several, a training step has [exchanges](crate::plan::Exchange).
    pub ranks: usize,
    /// Number of parts in which each rank computes its slice of a batch, one after another; with several, their gradients
    /// are [accumulated](crate::ops::accumulate).
    pub parts: usize,
    /// What a training step computes.
    pub step: StepOptions,
}

impl CompileOptions {
    /// Whether ranks share the statistics of a batch.
    pub(crate) fn syncs(&self) -> bool {
        self.ranks > 1 && self.step.sync_batch_norm
    }
}

impl Default for CompileOptions {
    /// No sections; batches of 100, gradient descent without momentum.
    fn default() -> Self {
        let step = StepOptions { optimizer: Optimizer::sgd(0.0), ..StepOptions::default() };
        CompileOptions {
            batch: 100,
            train_images: 0,
            test_images: 0,
            predict: false,
            slots: 1,
            ranks: 1,
            parts: 1,
            step,
        }
    }
}
