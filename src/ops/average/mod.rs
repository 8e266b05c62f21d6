//! average: an exponential moving average of the weights (Polyak and Juditsky 1992), which often does better than the last
//! weights themselves.
//!
//! `average <- d average + (1 - d) weights` after each step, with `d = min(decay, (1 + n) / (10 + n))` at step n, counted
//! from 0. The average starts as the initial weights, which nobody wants a share of: with a decay of 0.999 alone they would
//! still be a third of it after a thousand steps. The limit makes a young average follow the weights (TensorFlow's
//! `ExponentialMovingAverage` with `num_updates` has the same rule), and is a function of the step's number, so that a run
//! which goes on has it too. What a batch_norm keeps is averaged in the same way.

mod cases;
mod cpu;
mod fast;
mod gpu;

pub(crate) use cases::{drawn, edge_cases};

use super::Op;

/// `weights -> average`
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// Number of weights.
    pub len: usize,
    /// Share of the average that is kept, in (0, 1), once the limit of the step lies above it.
    pub decay: f32,
}

/// The largest share of the average that step `step`, counted from 0, keeps: (1 + n) / (10 + n).
pub fn limit(step: usize) -> f32 {
    let n = step as f64;
    ((1.0 + n) / (10.0 + n)) as f32
}

impl Op for Update {
    fn name(&self) -> &'static str {
        "average.update"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("weights", self.len)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("average", self.len)]
    }
    fn touched(&self) -> Vec<(&'static str, usize)> {
        vec![("average", 2 * self.len)]
    }
}
