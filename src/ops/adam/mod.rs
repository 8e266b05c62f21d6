//! adam: gradient descent by moments of the gradient (Kingma and Ba 2015), and AdamW (Loshchilov and Hutter 2019).
//!
//! With eta from [`Step::learning_rate`](super::Step) and `t` the number of the step, from 1:
//!
//! - `m <- beta1 m + (1 - beta1) g`, the first moment
//! - `v <- beta2 v + (1 - beta2) g^2`, the second
//! - `w <- w - eta c1 m / (c2 sqrt(v) + epsilon)`, where `c1 = 1 / (1 - beta1^t)` and `c2 = 1 / sqrt(1 - beta2^t)` make up
//!   for moments that start at 0
//!
//! Adam has `g = gradient + weight_decay w`. AdamW has `g = gradient`, and decays beside it: `w <- (1 - eta weight_decay) w`
//! before the rest. It is PyTorch's form: epsilon stands outside of the correction.
//!
//! Where gradients are clipped, `gradient` is `scale gradient` ([`super::clip`]).
//!
//! The corrections come with the step as well ([`corrections`]), computed in `f64`: the kernel needs no power, and a resumed
//! run has those of an undisturbed one.

mod cases;
mod cpu;
mod fast;
mod gpu;

pub use cases::Operands;
pub(crate) use cases::{drawn, edge_cases};

use super::Op;

/// `gradient scale -> weights first_moment second_moment`; without clipping there is no `scale`
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// Number of weights.
    pub len: usize,
    /// Share of the first moment that is kept, in [0, 1).
    pub beta1: f32,
    /// How much of the second moment stays from step to step.
    pub beta2: f32,
    /// Keeps the quotient finite where gradients are zero.
    pub epsilon: f32,
    /// Pull towards zero.
    pub weight_decay: f32,
    /// Whether it acts on the weights themselves, as in AdamW.
    pub decoupled: bool,
    /// Whether gradients are scaled by what [`super::clip`] says.
    pub clipped: bool,
}

/// `c1` and `c2` after `step` steps, as kernels take them: [`Step::first_correction`](super::Step) and the next.
///
/// The betas are those that kernels have, rounded to `f32`: else the moments of a constant gradient would not be corrected
/// to that gradient.
pub fn corrections(beta1: f32, beta2: f32, step: usize) -> [f32; 2] {
    let t = i32::try_from(step + 1).unwrap_or(i32::MAX);
    let missing = |beta: f32| 1.0 - f64::from(beta).powi(t);
    [(1.0 / missing(beta1)) as f32, (1.0 / missing(beta2).sqrt()) as f32]
}

impl Op for Update {
    fn name(&self) -> &'static str {
        "adam.update"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let gradient = ("gradient", self.len);
        if self.clipped { vec![gradient, ("scale", 1)] } else { vec![gradient] }
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        ["weights", "first_moment", "second_moment"].map(|name| (name, self.len)).to_vec()
    }
    fn touched(&self) -> Vec<(&'static str, usize)> {
        self.outputs().into_iter().map(|(name, len)| (name, 2 * len)).collect()
    }
}
