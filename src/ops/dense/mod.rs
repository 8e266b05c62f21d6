//! dense: `y[n,o] = f(b[o] + sum over i of x[n,i] * w[i,o])` (equation 6)
//!
//! `x` is `[N,I]`, `w` `[I,O]`, `b` `[O]`, `y` `[N,O]`. With `dy` taken before `f`:
//!
//! - `dw[i,o] = sum over n of x[n,i] * dy[n,o]` (equation 10)
//! - `db[o] = sum over n of dy[n,o]` (equation 9)
//! - `dx[n,i] = f'(x[n,i]) * sum over o of dy[n,o] * w[i,o]` (equation 8)
//!
//! Outputs that are no multiple of four have kernels of their own (`_narrow`): the three passes of a layer of 128 x 10 take
//! 0.5 ms together on lavapipe, 1.1 with the naive kernels.

mod cases;
mod cpu;
mod fast;
mod gpu;
mod layer;
mod naive;

pub(crate) use cases::{drawn, edge_cases};
pub use layer::Dense;

use super::{Activation, Op};

/// What all four passes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Rows of the batch, N.
    pub batch: usize,
    /// Columns of `x`, I.
    pub inputs: usize,
    /// Columns of `y`, O.
    pub outputs: usize,
}

impl Geometry {
    fn flops(&self) -> u64 {
        2 * (self.batch * self.inputs * self.outputs) as u64
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

/// `x dy -> dw`
#[derive(Clone, Copy, Debug)]
pub struct BackwardWeight {
    /// Shapes of the tensors.
    pub geometry: Geometry,
}

/// `dy -> db`
#[derive(Clone, Copy, Debug)]
pub struct BackwardBias {
    /// Shapes of the tensors.
    pub geometry: Geometry,
}

impl Op for Forward {
    fn name(&self) -> &'static str {
        "dense.forward"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let g = &self.geometry;
        vec![("x", g.batch * g.inputs), ("w", g.inputs * g.outputs), ("b", g.outputs)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("y", self.geometry.batch * self.geometry.outputs)]
    }
    fn flops(&self) -> u64 {
        self.geometry.flops()
    }
}

impl Op for BackwardInput {
    fn name(&self) -> &'static str {
        "dense.backward_input"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let g = &self.geometry;
        let own = vec![("dy", g.batch * g.outputs), ("w", g.inputs * g.outputs)];
        super::with_producer(self.producer, g.batch * g.inputs, own)
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("dx", self.geometry.batch * self.geometry.inputs)]
    }
    fn flops(&self) -> u64 {
        self.geometry.flops()
    }
}

impl Op for BackwardWeight {
    fn name(&self) -> &'static str {
        "dense.backward_weight"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let g = &self.geometry;
        vec![("x", g.batch * g.inputs), ("dy", g.batch * g.outputs)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("dw", self.geometry.inputs * self.geometry.outputs)]
    }
    fn flops(&self) -> u64 {
        self.geometry.flops()
    }
}

impl Op for BackwardBias {
    fn name(&self) -> &'static str {
        "dense.backward_bias"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("dy", self.geometry.batch * self.geometry.outputs)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("db", self.geometry.outputs)]
    }
}
