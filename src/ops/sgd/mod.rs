//! sgd: stochastic gradient descent (equations 4 and 5), with momentum, Nesterov's look-ahead and weight decay.
//!
//! With `g = gradient + weight_decay w` and eta from [`Step::learning_rate`](super::Step):
//!
//! - plain: `w <- w - eta g`
//! - momentum mu: `v <- mu v + g`, then `w <- w - eta v`
//! - Nesterov: `v <- mu v + g`, then `w <- w - eta (g + mu v)`
//!
//! Where gradients are clipped, `gradient` is `scale gradient` ([`super::clip`]).
//!
//! All weights of a network lie in one storage, so this is one pass. The gradient is that of the mean loss, so `eta / m` of
//! the equations is eta here. It is PyTorch's form: eta is outside of `v`.
//!
//! On lavapipe the pass is bound by loads and stores: 2.35 ms for the 1.2 million weights of `case1` by vec4, 1.6 in packs of
//! 64-bit words. Four vec4 an invocation took 2.36 ms, so there is one pack each.

mod cases;
mod cpu;
mod fast;
mod gpu;

pub(crate) use cases::{drawn, edge_cases};

use super::Op;

/// `gradient scale -> weights velocity`; without momentum there is no `velocity`, without clipping no `scale`
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// Number of weights.
    pub len: usize,
    /// mu, in [0, 1)
    pub momentum: f32,
    /// Whether to look ahead.
    pub nesterov: bool,
    /// Added to the gradient, times w.
    pub weight_decay: f32,
    /// Whether gradients are scaled by what [`super::clip`] says.
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
