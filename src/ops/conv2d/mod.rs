//! conv2d: `y[n,p,q,k] = f(b[k] + sum over r,s,c of x[n, p*stride+r-pad, q*stride+s-pad, c] * w[r,s,c,k])`
//!
//! As usual in deep learning, this is a cross-correlation. `x` is `[N,H,W,C]`, `w` is `[R,S,C,K]`, `b` is `[K]` and `y`
//! is `[N,P,Q,K]`; outside the image, `x` is zero. A *place* is a position n,p,q of the window, and a *tap* is one of
//! its positions r,s. `dy` is the gradient before `f`: the next layer has multiplied it by `f'` already. The gradients
//! are
//!
//! - `dw[r,s,c,k] = sum over n,p,q of dy[n,p,q,k] * x[n, p*stride+r-pad, q*stride+s-pad, c]` (equation 10 of the
//!   paper),
//! - `db[k] = sum over n,p,q of dy[n,p,q,k]` (equation 9),
//! - `dx[n,h,w,c] = f'(x) * sum over r,s,k of dy[n,p,q,k] * w[r,s,c,k]`, over the places p,q whose window covers h,w
//!   (equation 8).
//!
//! `dw` and `db` are one pass, because the kernel for few channels computes both while reading `dy` once.
//!
//! Rejected for the direct kernels, with the time of conv1 of `case1` on lavapipe (Mesa 22.3.6, best of interleaved
//! runs):
//!
//! - Forward pass, which takes 1.6 ms, and 1.3 ms in packs: blocks of eight places take 1.8 ms and 1.5 ms; reading the
//!   bias for each store, as the matrix epilogue does, takes 2.2 ms.
//! - Weight gradient, which takes 1.5 ms from vec4 and 1.1 ms from packs: blocks of 8 to 28 places take 1.5 to 1.8 ms;
//!   reading `dy` from a texture mirror takes 0.9 ms, but the copy takes another 0.35 to 0.6 ms.

mod cases;
mod cpu;
mod fast;
mod gpu;
mod layer;
mod naive;
mod pooled;

pub(crate) use cases::{drawn, edge_cases};
pub use layer::Conv2d;
pub use pooled::{PooledBackwardWeight, PooledForward};

use super::dropout::Mask;
use super::{Activation, Op};
use crate::shape::Window2d;

/// Sizes of a convolution, which all three passes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Sizes of the input, the window and the output.
    pub window: Window2d,
    /// Number of filters, which is the number of output channels, K.
    pub filters: usize,
}

impl Geometry {
    /// Number of elements of `y`.
    pub(crate) fn output_len(&self) -> usize {
        self.window.places() * self.filters
    }
    /// Number of elements of `w`.
    pub fn weight_len(&self) -> usize {
        self.window.area() * self.window.channels * self.filters
    }
    fn flops(&self) -> u64 {
        2 * (self.window.places() * self.weight_len()) as u64
    }
}

/// The forward pass: reads `x`, `w` and `b`, and writes `y`.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// Shapes of the tensors.
    pub geometry: Geometry,
    /// The activation f, applied in the epilogue.
    pub activation: Activation,
    /// The elements of `y` that a dropout layer behind this one drops.
    pub dropout: Option<Mask>,
}

/// The input gradient: reads `dy` and `w`, and writes `dx`. If the producer is not the identity, also reads `x` and
/// multiplies by f'(x).
#[derive(Clone, Copy, Debug)]
pub struct BackwardInput {
    /// Shapes of the tensors.
    pub geometry: Geometry,
    /// The activation f that produced `x`.
    pub producer: Activation,
    /// The elements of `x` that were dropped after f; they are dropped from `dx` too.
    pub dropout: Option<Mask>,
}

/// The weight and bias gradients: reads `x` and `dy`, and writes `dw` and `db`.
#[derive(Clone, Copy, Debug)]
pub struct BackwardWeight {
    /// Shapes of the tensors.
    pub geometry: Geometry,
}

impl Op for Forward {
    fn name(&self) -> &'static str {
        "conv2d.forward"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let g = &self.geometry;
        vec![("x", g.window.input_len()), ("w", g.weight_len()), ("b", g.filters)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("y", self.geometry.output_len())]
    }
    fn flops(&self) -> u64 {
        self.geometry.flops()
    }
}

impl Op for BackwardInput {
    fn name(&self) -> &'static str {
        "conv2d.backward_input"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let g = &self.geometry;
        super::with_producer(self.producer, g.window.input_len(), vec![("dy", g.output_len()), ("w", g.weight_len())])
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("dx", self.geometry.window.input_len())]
    }
    fn flops(&self) -> u64 {
        self.geometry.flops()
    }
}

impl Op for BackwardWeight {
    fn name(&self) -> &'static str {
        "conv2d.backward_weight"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("x", self.geometry.window.input_len()), ("dy", self.geometry.output_len())]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("dw", self.geometry.weight_len()), ("db", self.geometry.filters)]
    }
    fn flops(&self) -> u64 {
        self.geometry.flops()
    }
}
