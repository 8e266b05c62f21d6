//! batch_norm: normalizes each channel to mean 0 and variance 1 over the batch, then applies a learned scale and offset
//! (Ioffe and Szegedy, "Batch normalization", 2015).
//!
//! `x` is `[M,C]`: a row for each pixel of each image, or for each image if the input is a vector of features. In a
//! training step, with sums over the M rows that are not padding,
//!
//! - `mean[c] = sum x[r,c] / M`, `var[c] = sum (x[r,c] - mean[c])^2 / M`
//! - `y[r,c] = f(w[c] xh[r,c] + b[c])`, with `xh[r,c] = (x[r,c] - mean[c]) / sqrt(var[c] + epsilon)`
//! - `db[c] = sum dy[r,c]`, `dw[c] = sum dy[r,c] xh[r,c]`
//! - `dx[r,c] = w[c] / sqrt(var[c] + epsilon) (dy[r,c] - (db[c] + xh[r,c] dw[c]) / M)`, and 0 in padding
//!
//! and `running <- (1 - momentum) running + momentum batch` for both statistics, where the variance of the batch is
//! multiplied by `M / (M - 1)`, as in PyTorch. Evaluation and prediction use the running statistics.
//!
//! A slice of a batch normally has statistics of its own, and one without images leaves the running statistics as they
//! are. If ranks share them ([`crate::train::StepOptions::sync_batch_norm`]), the host combines `mean` and `var` of all
//! slices after the first pass, [`Running`] updates the running statistics, and `dw` and `db` are summed before `dx` is
//! computed.
//!
//! The variance is computed in a second pass over `x`: the sum of squares minus the square of the sum would cancel when
//! the mean is large. Kernels process rows of packs. Values that depend only on the channel are computed once
//! (`*_fold.wgsl`), which also keeps the number of storage buffers per kernel below six.

mod cases;
mod cpu;
mod fast;
mod gpu;
mod layer;

pub(crate) use cases::{drawn, edge_cases};
pub use layer::BatchNorm;

use super::{Activation, Op, Step};

/// The shape of `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Number of images in the batch, N.
    pub batch: usize,
    /// Number of pixels per image; 1 for a vector of features.
    pub places: usize,
    /// Number of channels, C.
    pub channels: usize,
}

impl Geometry {
    /// Number of rows of a whole batch.
    pub fn rows(&self) -> usize {
        self.batch * self.places
    }

    /// Number of elements of `x`.
    pub fn elements(&self) -> usize {
        self.rows() * self.channels
    }

    /// Number of rows that are not padding.
    pub fn counted(&self, step: &Step) -> usize {
        self.batch.min(step.count as usize) * self.places
    }

    /// Number of rows that `mean`, `var`, `dw` and `db` were taken over, M: more than [`Geometry::counted`] if ranks
    /// share them.
    pub fn pooled(&self, step: &Step) -> usize {
        (self.batch.min(step.count as usize).max(step.pooled as usize) * self.places).max(1)
    }
}

/// The statistics of a batch: reads `x`, writes `mean` and `var`, and updates `running_mean` and `running_var`.
#[derive(Clone, Copy, Debug)]
pub struct Statistics {
    /// Shape of `x`.
    pub geometry: Geometry,
    /// Weight of the batch in the running statistics.
    pub momentum: f32,
}

/// The running statistics after a batch whose statistics all ranks share: reads `mean` and `var`, and updates
/// `running_mean` and `running_var`.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    /// Shape of `x`.
    pub geometry: Geometry,
    /// Weight of the batch in the running statistics.
    pub momentum: f32,
}

/// The forward pass: reads `x`, `w`, `b`, `mean` and `var`, and writes `y`.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// Shape of `x` and `y`.
    pub geometry: Geometry,
    /// Added to the variance, so that the deviation of a constant channel is not zero.
    pub epsilon: f32,
    /// The activation f, applied to the output.
    pub activation: Activation,
}

/// The gradients of scale and offset: reads `x`, `dy`, `mean` and `var`, and writes `dw` and `db`.
#[derive(Clone, Copy, Debug)]
pub struct BackwardWeight {
    /// Shape of `x` and `dy`.
    pub geometry: Geometry,
    /// Added to the variance, as in [`Forward`].
    pub epsilon: f32,
}

/// The input gradient: reads `x`, `dy`, `w`, `mean`, `var`, `dw` and `db`, and writes `dx`, multiplied by f'(x).
#[derive(Clone, Copy, Debug)]
pub struct BackwardInput {
    /// Shape of `x`, `dy` and `dx`.
    pub geometry: Geometry,
    /// Added to the variance, as in [`Forward`].
    pub epsilon: f32,
    /// The activation f that produced `x`.
    pub producer: Activation,
}

impl Op for Statistics {
    fn name(&self) -> &'static str {
        "batch_norm.statistics"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("x", self.geometry.elements())]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        ["mean", "var", "running_mean", "running_var"].map(|name| (name, self.geometry.channels)).into()
    }
    fn touched(&self) -> Vec<(&'static str, usize)> {
        ["running_mean", "running_var"].map(|name| (name, 2 * self.geometry.channels)).into()
    }
}

impl Op for Running {
    fn name(&self) -> &'static str {
        "batch_norm.running"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        ["mean", "var"].map(|name| (name, self.geometry.channels)).into()
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        ["running_mean", "running_var"].map(|name| (name, self.geometry.channels)).into()
    }
    fn touched(&self) -> Vec<(&'static str, usize)> {
        ["running_mean", "running_var"].map(|name| (name, 2 * self.geometry.channels)).into()
    }
}

impl Op for Forward {
    fn name(&self) -> &'static str {
        "batch_norm.forward"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let Geometry { channels, .. } = self.geometry;
        vec![("x", self.geometry.elements()), ("w", channels), ("b", channels), ("mean", channels), ("var", channels)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("y", self.geometry.elements())]
    }
}

impl Op for BackwardWeight {
    fn name(&self) -> &'static str {
        "batch_norm.backward_weight"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let Geometry { channels, .. } = self.geometry;
        vec![("x", self.geometry.elements()), ("dy", self.geometry.elements()), ("mean", channels), ("var", channels)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("dw", self.geometry.channels), ("db", self.geometry.channels)]
    }
}

impl Op for BackwardInput {
    fn name(&self) -> &'static str {
        "batch_norm.backward_input"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let of_channels = ["w", "mean", "var", "dw", "db"].map(|name| (name, self.geometry.channels));
        [vec![("x", self.geometry.elements()), ("dy", self.geometry.elements())], of_channels.into()].concat()
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("dx", self.geometry.elements())]
    }
}
