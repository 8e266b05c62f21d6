//! softmax and the two costs behind it.
//!
//! `a[n,j] = exp(x[n,j] - max) / sum over k of exp(x[n,k] - max)`: subtracting the row's largest logit changes nothing and
//! keeps exp in range.
//!
//! - cross-entropy: `loss[n] = -log a[n,t]` with t the target, computed as `log(sum exp(x - max)) - (x[t] - max)`;
//!   `dx[n,j] = (a[n,j] - [j = t]) / count`
//!   with label smoothing S (Szegedy et al. 2016) the target of class j is `q[j] = (1 - S) [j = t] + S / C`, so
//!   `loss[n] = -sum over j of q[j] log a[n,j]`, `dx[n,j] = (a[n,j] - q[j]) / count`
//! - quadratic cost (equation 1): `loss[n] = 1/2 sum over j of (a[n,j] - [j = t])^2`;
//!   `dx[n,j] = a[n,j] ((a[n,j] - [j = t]) - sum over k of a[n,k] (a[n,k] - [k = t])) / count`
//!
//! `count` is the number of images in the batch ([`Step::count`](super::Step)): the gradient is that of the mean loss
//! (equations 4 and 5). Rows behind it are padding: loss 0, gradient 0, prediction `NO_PREDICTION`. The prediction is the
//! class of the largest logit, the first of several.

mod cases;
mod cpu;
mod gpu;

pub(crate) use cases::{drawn, edge_cases};

use super::Op;
use crate::fast::Fast;

/// Stands in place of a class in a padding row.
pub const NO_PREDICTION: u32 = u32::MAX;

/// The loss that is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Cost {
    /// Negative logarithm of the target's probability.
    CrossEntropy,
    /// Half the squared distance from the one-hot target: equation 1.
    Quadratic,
}

impl Cost {
    /// Its name in options and files.
    pub fn name(self) -> &'static str {
        match self {
            Cost::CrossEntropy => "cross-entropy",
            Cost::Quadratic => "quadratic",
        }
    }
}

/// `x -> y`, probabilities
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// Rows of the batch, N.
    pub batch: usize,
    /// Number of logits a row.
    pub classes: usize,
}

/// `x targets -> dx loss prediction`
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Rows of the batch, N.
    pub batch: usize,
    /// Number of logits a row.
    pub classes: usize,
    /// Which loss is computed.
    pub cost: Cost,
    /// S of the cross-entropy, in [0, 1): what of the target is given to all classes alike.
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

/// A few numbers an image: the reference is fast enough.
impl Fast for Forward {}

impl Fast for Loss {}
