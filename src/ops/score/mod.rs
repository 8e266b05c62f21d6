//! score: stores the loss, the number of correct predictions and the predictions of a step on the device, to be read
//! back later.
//!
//! Over the first `count` rows of the batch: `losses[slot] = sum over rows of loss[row]`, `correct[slot]` = number of
//! rows whose prediction equals the target, and `predictions[first + row] = prediction[row]`. `slot`, `first` and
//! `count` come from [`Step`](super::Step). One workgroup adds in a fixed order.

mod cases;
mod cpu;
mod gpu;

pub(crate) use cases::{drawn, edge_cases};

use super::Op;
use crate::fast::Fast;

/// The pass: reads `loss`, `prediction` and `targets`, and writes `losses`, `correct` and `predictions`.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    /// Number of rows of the batch, N.
    pub batch: usize,
    /// Number of steps whose results can be stored.
    pub slots: usize,
    /// Number of images of the largest data set.
    pub images: usize,
}

impl Op for Score {
    fn name(&self) -> &'static str {
        "score.score"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("loss", self.batch), ("prediction", self.batch), ("targets", self.batch)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("losses", self.slots), ("correct", self.slots), ("predictions", self.images)]
    }
    fn touched(&self) -> Vec<(&'static str, usize)> {
        vec![("losses", 1), ("correct", 1), ("predictions", self.batch)]
    }
}

/// Only a few numbers per image, so the reference is fast enough.
impl Fast for Score {}
