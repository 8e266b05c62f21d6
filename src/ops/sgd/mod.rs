//! sgd: stochastic gradient descent (equations 4 and 5 of the paper), with momentum, Nesterov momentum and weight
//! decay.
//!
//! With `g = gradient + weight_decay w` and eta from [`Step::learning_rate`](super::Step):
//!
//! - plain: `w <- w - eta g`
//! - momentum mu: `v <- mu v + g`, then `w <- w - eta v`
//! - Nesterov: `v <- mu v + g`, then `w <- w - eta (g + mu v)`
//!
//! If gradients are clipped, `gradient` stands for `scale gradient` ([`super::clip`]).
//!
//! All weights of a network are in one storage, so this is one pass. The gradient is that of the mean loss, so `eta /
//! m` in the paper is eta here. As in PyTorch, `v` does not include eta.
//!
//! On lavapipe the pass is bound by loads and stores: for the 1.2 million weights of `case1`, it takes 2.35 ms with one
//! vec4 per invocation and 1.6 ms with one pack of 64-bit words. Rejected: four vec4 per invocation, which took 2.36
//! ms.

mod cases;
mod cpu;
mod fast;
mod gpu;

pub(crate) use cases::{drawn, edge_cases};

use super::Op;

/// The update: reads `gradient`, and `scale` if gradients are clipped; changes `weights`, and `velocity` if there is
/// momentum.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// Number of weights.
    pub len: usize,
    /// Momentum, mu in [0, 1).
    pub momentum: f32,
    /// Whether to use Nesterov momentum.
    pub nesterov: bool,
    /// Weight decay: this multiple of w is added to the gradient.
    pub weight_decay: f32,
    /// Whether gradients are multiplied by the factor from [`super::clip`].
    pub clipped: bool,
}

impl Op for Update {
    fn name(&self) -> &'static str {
        "sgd.update"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let gradient = ("gradient", self.len);
        if self.clipped { vec![gradient, ("scale", 1)] } else { vec![gradient] }
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        let weights = ("weights", self.len);
        if self.momentum > 0.0 { vec![weights, ("velocity", self.len)] } else { vec![weights] }
    }
    fn touched(&self) -> Vec<(&'static str, usize)> {
        vec![("weights", 2 * self.len), ("velocity", 2 * self.len)]
    }
}
