//! score: what is known of a step, kept on the device until somebody asks.
//!
//! `losses[slot] = sum over rows of loss`, `correct[slot]` = number of rows whose prediction is the target, both over the
//! batch's `count` rows, and `predictions[first + row] = prediction[row]`. `slot`, `first` and `count` come from
//! [`Step`](super::Step). One workgroup adds in a fixed order.

mod cases;
mod cpu;
mod gpu;

pub(crate) use cases::{drawn, edge_cases};

use super::Op;
use crate::fast::Fast;

/// `loss prediction targets -> losses correct predictions`
#[derive(Clone, Copy, Debug)]
pub struct Score {
    /// Rows of the batch, N.
    pub batch: usize,
    /// Steps that can be kept.
    pub slots: usize,
    /// Images of the largest data set.
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

/// A few numbers an image: the reference is fast enough.
impl Fast for Score {}
