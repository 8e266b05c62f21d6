//! conv2d: `y[n,p,q,k] = f(b[k] + sum over r,s,c of x[n, p*stride+r-pad, q*stride+s-pad, c] * w[r,s,c,k])`
//!
//! A cross-correlation, as everywhere in the field. `x` is `[N,H,W,C]`, `w` `[R,S,C,K]`, `b` `[K]`, `y` `[N,P,Q,K]`;
//! outside the image `x` is zero. Gradients, with `dy` taken before `f`, that is, after the layer behind has multiplied
//! by `f'`:
//!
//! - `dw[r,s,c,k] = sum over n,p,q of dy[n,p,q,k] * x[n, p*stride+r-pad, q*stride+s-pad, c]` (equation 10)
//! - `db[k] = sum over n,p,q of dy[n,p,q,k]` (equation 9)
//! - `dx[n,h,w,c] = f'(x) * sum over r,s,k of dy[n,p,q,k] * w[r,s,c,k]`, over the places p,q whose window holds h,w
//!   (equation 8)
//!
//! `dw` and `db` are one pass, because the kernel for few channels adds both from one reading of `dy`.
//!
//! What the direct kernels left out, with the time of conv1 of `case1` on lavapipe (Mesa 22.3.6, best of interleaved
//! runs, ms). Forward, 1.6, and 1.3 in packs: blocks of eight places 1.8 and 1.5; the bias read with each store, as the
//! matrix epilogue does, 2.2. Weight gradient, 1.5 from vec4 and 1.1 from packs: blocks of 8 to 28 places 1.5 to 1.8; `dy`
//! from a texture mirror 0.9, and 0.35 to 0.6 for the copy.

mod cases;
mod cpu;
mod fast;
mod gpu;
mod layer;
mod naive;

pub(crate) use cases::{drawn, edge_cases};
pub use layer::Conv2d;

use super::{Activation, Op};
use crate::shape::Window2d;

/// What all three passes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Input, window and places.
    pub window: Window2d,
    /// K, channels of the output.
    pub filters: usize,
}

impl Geometry {
    /// Elements of `y`.
    pub(crate) fn output_len(&self) -> usize {
        self.window.places() * self.filters
    }
    /// Elements of `w`.
    pub fn weight_len(&self) -> usize {
        self.window.area() * self.window.channels * self.filters
    }
    fn flops(&self) -> u64 {
        2 * (self.window.places() * self.weight_len()) as u64
    }
}

/// `x w b -> y`
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// Shapes of the tensors.
    pub geometry: Geometry,
    /// f, applied in the epilogue.
    pub activation: Activation,
}

/// `dy w -> dx`, multiplied by f'(x)
#[derive(Clone, Copy, Debug)]
pub struct BackwardInput {
    /// Shapes of the tensors.
    pub geometry: Geometry,
    /// The f that made `x`.
    pub producer: Activation,
}

/// `x dy -> dw db`
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
