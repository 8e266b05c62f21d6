//! Points of a training step at which the ranks that train together exchange what they have computed.

use super::TensorId;

/// A tensor that the ranks combine between two passes of a training step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Number of passes that come before it: the last of them computes the tensor.
    pub after: usize,
    /// Number of passes that may run before it is complete: the next one reads the tensor. At least `after`.
    pub before: usize,
    /// The tensor that is combined, in place.
    pub tensor: TensorId,
    /// How it is combined.
    pub combine: Combine,
}

/// How the tensors of all ranks become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// The sum.
    Sum,
    /// The mean, weighted by the numbers of images.
    Mean,
    /// Means and variances of channels over the rows of all ranks. The means come first; the variances begin at the
    /// element `variances`.
    Moments {
        /// Number of channels.
        channels: usize,
        /// Index of the first variance.
        variances: usize,
    },
}
