//! relu, sigmoid and tanh: `y = f(x)` element by element (equation 6).
//!
//! The layer before usually applies `f` itself in its epilogue, and the layer behind multiplies by `f'` (equation 8) in
//! its own. The passes here serve where neither can.

mod cases;
mod cpu;
mod fast;
mod gpu;
mod layer;

pub(crate) use cases::{drawn, edge_cases};
pub use layer::ActivationLayer;

use super::Op;

/// An elementwise function behind a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// The identity, z.
    Identity,
    /// max(z, 0); its derivative at 0 is 0
    Relu,
    /// 1 / (1 + exp(-z))
    Sigmoid,
    /// The hyperbolic tangent, tanh(z).
    Tanh,
}

impl Activation {
    /// The name in network files.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Identity => "identity",
            Activation::Relu => "relu",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
        }
    }
}

/// `y = f(x)`
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// The activation, f.
    pub activation: Activation,
    /// Elements of each tensor.
    pub len: usize,
}

/// `dx = dy f'(x)`, with f' computed from y
#[derive(Clone, Copy, Debug)]
pub struct Backward {
    /// The activation, f.
    pub activation: Activation,
    /// Elements of each tensor.
    pub len: usize,
}

impl Op for Forward {
    fn name(&self) -> &'static str {
        "activation.forward"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("x", self.len)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("y", self.len)]
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "activation.backward"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("y", self.len), ("dy", self.len)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("dx", self.len)]
    }
}
