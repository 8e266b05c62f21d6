//! clip: computes the factor that limits the norm of the gradient over all weights to `most` (Pascanu et al. 2013).
//!
//! `norm = sqrt(sum over i of gradient[i]^2)`; `scale = 1` if `norm <= most`, otherwise `most / norm`. The update
//! kernels multiply gradients by it when they load them ([`super::sgd`], [`super::adam`]), so gradients are not stored
//! again and nothing is read back.
//!
//! Each workgroup sums a part, and a single workgroup adds the parts, in an order that depends only on the length, so
//! that runs are reproducible to the bit. Squares are `f32`: a norm above 1.8e19 overflows to infinity and scales all
//! gradients to 0.

mod cases;
mod cpu;
mod fast;
mod gpu;

pub(crate) use cases::{drawn, edge_cases};

use super::Op;

/// The pass: reads `gradient` and writes `scale`.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Number of elements of the gradient.
    pub len: usize,
    /// Largest norm of the gradient after scaling.
    pub most: f32,
}

impl Op for Scale {
    fn name(&self) -> &'static str {
        "clip.scale"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("gradient", self.len)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("scale", 1)]
    }
}
