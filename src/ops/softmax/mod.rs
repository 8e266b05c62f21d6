//! softmax and the two loss functions that follow it.
//!
//! `a[n,j] = exp(x[n,j] - max) / sum over k of exp(x[n,k] - max)`: subtracting the largest logit of the row does not
//! change the result and keeps exp in range.
//!
//! - Cross-entropy: `loss[n] = -log a[n,t]`, where t is the target, computed as `log(sum exp(x - max)) - (x[t] - max)`;
//!   `dx[n,j] = (a[n,j] - [j = t]) / count`.
//!   With label smoothing S (Szegedy et al. 2016), the target of class j is `q[j] = (1 - S) [j = t] + S / C`, so
//!   `loss[n] = -sum over j of q[j] log a[n,j]` and `dx[n,j] = (a[n,j] - q[j]) / count`.
//! - Quadratic cost (equation 1 of the paper): `loss[n] = 1/2 sum over j of (a[n,j] - [j = t])^2`;
//!   `dx[n,j] = a[n,j] ((a[n,j] - [j = t]) - sum over k of a[n,k] (a[n,k] - [k = t])) / count`.
//!
//! `[condition]` is 1 if the condition holds and 0 otherwise. `count` is the number of images in the batch
//! ([`Step::count`](super::Step)), so the gradient is that of the mean loss (equations 4 and 5 of the paper). Rows from
//! `count` on are padding: loss 0, gradient 0, prediction [`NO_PREDICTION`]. The prediction is the class with the
//! largest logit, or the first of several such classes.

mod cases;
mod cpu;
mod gpu;

pub(crate) use cases::{drawn, edge_cases};

use super::Op;
use crate::fast::Fast;

/// The prediction of a padding row, in place of a class.
pub const NO_PREDICTION: u32 = u32::MAX;

/// The loss function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Cost {
    /// Negative logarithm of the target's probability.
    CrossEntropy,
    /// Half the squared distance from the one-hot target.
    Quadratic,
}

impl Cost {
    /// Name in options and files.
    pub fn name(self) -> &'static str {
        match self {
            Cost::CrossEntropy => "cross-entropy",
            Cost::Quadratic => "quadratic",
        }
    }
}

/// Softmax alone: reads the logits `x` and writes the probabilities `y`.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// Number of rows of the batch, N.
    pub batch: usize,
    /// Number of logits per row, C.
    pub classes: usize,
}

/// Softmax with a loss: reads the logits `x` and `targets`, and writes `dx`, `loss` and `prediction`.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Number of rows of the batch, N.
    pub batch: usize,
    /// Number of logits per row, C.
    pub classes: usize,
    /// The loss function.
    pub cost: Cost,
    /// Label smoothing of the cross-entropy, S in [0, 1): the fraction of the target that is spread evenly over all
    /// classes.
    pub smoothing: f32,
}

impl Op for Forward {
    fn name(&self) -> &'static str {
        "softmax.forward"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("x", self.batch * self.classes)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("y", self.batch * self.classes)]
    }
}

impl Op for Loss {
    fn name(&self) -> &'static str {
        "softmax.loss"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("x", self.batch * self.classes), ("targets", self.batch)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("dx", self.batch * self.classes), ("loss", self.batch), ("prediction", self.batch)]
    }
}

/// Only a few numbers per image, so the reference is fast enough.
impl Fast for Forward {}

impl Fast for Loss {}
