//! average: an exponential moving average of the weights (Polyak and Juditsky 1992), which often does better than the last
//! weights themselves.
//!
//! `average <- decay average + (1 - decay) weights` after each step. It starts as the initial weights, so it needs no
//! correction.

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
    /// Share of the average that is kept, in (0, 1).
    pub decay: f32,
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
