//! adam: gradient descent with adaptive moments, Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019).
//!
//! With eta from [`Step::learning_rate`](super::Step) and the number `t` of the step, counted from 1:
//!
//! - `m <- beta1 m + (1 - beta1) g`, the first moment,
//! - `v <- beta2 v + (1 - beta2) g^2`, the second moment,
//! - `w <- w - eta c1 m / (c2 sqrt(v) + epsilon)`, where `c1 = 1 / (1 - beta1^t)` and `c2 = 1 / sqrt(1 - beta2^t)`
//!   correct the bias of moments that start at 0.
//!
//! In Adam, `g = gradient + weight_decay w`. In AdamW, `g = gradient`, and the weights decay separately: `w <- (1 - eta
//! weight_decay) w` before the rest. As in PyTorch, the correction does not apply to epsilon.
//!
//! If gradients are clipped, `gradient` stands for `scale gradient` ([`super::clip`]).
//!
//! The corrections come with the step ([`corrections`]), computed in `f64`: the kernel needs no powers, and a resumed
//! run has the same corrections as an uninterrupted one.

mod cases;
mod cpu;
mod fast;
mod gpu;

pub use cases::Operands;
pub(crate) use cases::{drawn, edge_cases};

use super::Op;

/// The update: reads `gradient`, and `scale` if gradients are clipped; changes `weights`, `first_moment` and
/// `second_moment`.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// Number of weights.
    pub len: usize,
    /// Decay rate of the first moment, in [0, 1).
    pub beta1: f32,
    /// Decay rate of the second moment, in [0, 1).
    pub beta2: f32,
    /// Added to the denominator, so that the quotient stays finite where gradients are zero.
    pub epsilon: f32,
    /// Weight decay.
    pub weight_decay: f32,
    /// Whether weight decay acts directly on the weights, as in AdamW.
    pub decoupled: bool,
    /// Whether gradients are multiplied by the factor from [`super::clip`].
    pub clipped: bool,
}

/// The corrections `c1` and `c2` after `step` steps, for [`Step::first_correction`](super::Step) and
/// `Step::second_correction`.
///
/// The betas must be those of the kernels, rounded to `f32`: otherwise the corrected moments of a constant gradient
/// would differ from that gradient.
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
