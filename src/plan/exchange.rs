//! Points of a training step at which the ranks that train together exchange what they have computed.

use super::TensorId;

/// Tensors that the ranks combine between two passes of a training step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Number of passes that come before it: the last of them computes the tensors.
    pub after: usize,
    /// Number of passes that may run before it is complete: the next one reads the tensors. At least `after`.
    pub before: usize,
    /// The tensors that are combined, in place and all at once.
    pub tensors: Vec<TensorId>,
    /// How they are combined.
    pub combine: Combine,
}

/// How the tensors of all ranks become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// The sum.
    Sum,
    /// The mean, weighted by the numbers of images.
    Mean,
    /// Mean and variance over the rows of all ranks: the means of all channels in one tensor, and their variances in
    /// another.
    Moments,
}
