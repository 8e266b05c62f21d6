//! average: an exponential moving average of the weights (Polyak and Juditsky 1992), which often gives a better network
//! than the final weights.
//!
//! `average <- d average + (1 - d) weights` after each step, with `d = min(decay, (1 + n) / (10 + n))` at step n,
//! counted from 0. The average starts as the initial weights, whose influence should vanish quickly: with a fixed decay
//! of 0.999, they would still make up a third of the average after a thousand steps. The limit makes the average follow
//! the weights closely at first, as TensorFlow's `ExponentialMovingAverage` does with `num_updates`. It depends only on
//! the number of the step, so a resumed run has the same. The running statistics of batch_norm are averaged in the same
//! way.

mod cases;
mod cpu;
mod fast;
mod gpu;

pub(crate) use cases::{drawn, edge_cases};

use super::Op;

/// The update: reads `weights` and changes `average`.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// Number of weights.
    pub len: usize,
    /// Decay rate, the fraction of the average that a step keeps, in (0, 1); smaller in the first steps ([`limit`]).
    pub decay: f32,
}

/// The upper limit of the decay rate in step `step`, counted from 0: (1 + n) / (10 + n).
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
