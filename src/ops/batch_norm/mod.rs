//! batch_norm: each channel to mean 0 and variance 1 over the batch, then to a scale and an offset that are learned
//! (Ioffe and Szegedy, "Batch normalization", 2015).
//!
//! `x` is `[M,C]`: a row for each place of each image, or for each image where the input is a vector of features. In a
//! training step, over the M rows of images that are no padding,
//!
//! - `mean[c] = sum x[r,c] / M`, `var[c] = sum (x[r,c] - mean[c])^2 / M`
//! - `y[r,c] = f(w[c] xh[r,c] + b[c])`, with `xh[r,c] = (x[r,c] - mean[c]) / sqrt(var[c] + epsilon)`
//! - `db[c] = sum dy[r,c]`, `dw[c] = sum dy[r,c] xh[r,c]`
//! - `dx[r,c] = w[c] / sqrt(var[c] + epsilon) (dy[r,c] - (db[c] + xh[r,c] dw[c]) / M)`, and 0 in padding
//!
//! and `running <- (1 - momentum) running + momentum batch` for both, where the batch's variance counts `M / (M - 1)` times
//! (PyTorch's form). Evaluation and prediction take the running ones.
//!
//! The variance is a second walk over `x`: a sum of squares less the square of a sum would lose everything where the mean is
//! large. Kernels see rows of packs; what depends on the channel alone is computed once (`*_fold.wgsl`), which also keeps
//! them below six storages.

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
    /// N, images in a batch.
    pub batch: usize,
    /// Places of an image; 1 for features.
    pub places: usize,
    /// Number of channels, C.
    pub channels: usize,
}

impl Geometry {
    /// Rows of a whole batch.
    pub fn rows(&self) -> usize {
        self.batch * self.places
    }

    /// Elements of `x`.
    pub fn elements(&self) -> usize {
        self.rows() * self.channels
    }

    /// M, the rows of images that are no padding.
    pub fn counted(&self, step: &Step) -> usize {
        self.batch.min(step.count as usize) * self.places
    }
}

/// `x -> mean var`, and of the next two `running_mean running_var`
#[derive(Clone, Copy, Debug)]
pub struct Statistics {
    /// Shape of `x`.
    pub geometry: Geometry,
    /// Share of the batch in what is kept.
    pub momentum: f32,
}

/// `x w b mean var -> y`
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// Shape of `x` and `y`.
    pub geometry: Geometry,
    /// Keeps the deviation of a constant channel from zero.
    pub epsilon: f32,
    /// The activation f, applied to the output.
    pub activation: Activation,
}

/// `x dy mean var -> dw db`
#[derive(Clone, Copy, Debug)]
pub struct BackwardWeight {
    /// Shape of `x` and `dy`.
    pub geometry: Geometry,
    /// What is added to the variance, as in [`Forward`].
    pub epsilon: f32,
}

/// `x dy w mean var dw db -> dx`, multiplied by f'(x)
#[derive(Clone, Copy, Debug)]
pub struct BackwardInput {
    /// Shape of `x`, `dy` and `dx`.
    pub geometry: Geometry,
    /// What is added to the variance, as in [`Forward`].
    pub epsilon: f32,
    /// The f that made `x`.
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
