//! relu, sigmoid and tanh: `y = f(x)` element by element (equation 6 of the paper).
//!
//! Usually the preceding layer applies `f` in its epilogue, and the next layer multiplies by `f'` in its own (equation
//! 8 of the paper). The passes here are used where that is not possible.

mod cases;
mod cpu;
mod fast;
mod gpu;
mod layer;

pub(crate) use cases::{drawn, edge_cases};
pub(super) use cpu::finish_input_gradient;
pub use layer::ActivationLayer;

use super::Op;

/// An elementwise function applied to the output of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// The identity, z.
    Identity,
    /// The rectified linear unit, max(z, 0); its derivative at 0 is 0.
    Relu,
    /// The logistic function, 1 / (1 + exp(-z)).
    Sigmoid,
    /// The hyperbolic tangent, tanh(z).
    Tanh,
}

impl Activation {
    /// Name in network files.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Identity => "identity",
            Activation::Relu => "relu",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
        }
    }
}

/// The forward pass: `y = f(x)`.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// The activation, f.
    pub activation: Activation,
    /// Number of elements of each tensor.
    pub len: usize,
}

/// The backward pass: `dx = dy f'(x)`, with f' computed from y.
#[derive(Clone, Copy, Debug)]
pub struct Backward {
    /// The activation, f.
    pub activation: Activation,
    /// Number of elements of each tensor.
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
