//! What an operation is to everybody else: its names and lengths, its launch, its reference.

use super::{Activation, Recorder};
use crate::error::Result;
use crate::fast::Fast;
use crate::reference::{Real, Tensors};
use crate::verify::Verify;
use std::any::Any;
use std::fmt::Debug;

// ANCHOR: op
/// One pass of an operation, with its shapes.
///
/// A pass cannot exist without its launch, its reference and its cases, and those are traits of the modules that use them:
/// so this module, [`mod@crate::reference`], [`crate::fast`], [`mod@crate::verify`] and [`crate::plan`] know each other, in a
/// circle that is meant.
pub trait Op: Any + Debug + Send + Sync + Record + Reference + Fast + Verify {
    /// Room and pass: `conv2d.backward_weight`.
    fn name(&self) -> &'static str;
    /// Names, as the formulas have them, and lengths of what is read.
    fn inputs(&self) -> Vec<(&'static str, usize)>;
    /// Names and lengths of what is written. May be read as well, if the formula says so (`sgd`).
    fn outputs(&self) -> Vec<(&'static str, usize)>;
    /// Number of multiplications and additions, where they are worth counting.
    fn flops(&self) -> u64 {
        0
    }
    /// Operands of which the pass touches a part only, or which it both reads and writes: name, and how many elements
    /// are read or written. All others are touched once, as a whole.
    fn touched(&self) -> Vec<(&'static str, usize)> {
        Vec::new()
    }
}
// ANCHOR_END: op

/// How an operation is launched: `gpu.rs`.
pub trait Record {
    /// Appends the dispatches of the operation.
    fn record(&self, to: &mut Recorder<'_>) -> Result<()>;
}

/// What an operation computes: `cpu.rs`, one implementation for all number types.
pub trait Compute {
    /// Reads the inputs, writes the outputs.
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>);
}

/// [`Compute`] without its type parameter, so that a plan can hold any operation.
pub trait Reference {
    /// Computes in `f32`.
    fn run_f32(&self, tensors: &mut Tensors<'_, f32>);
    /// Computes in `f64`.
    fn run_f64(&self, tensors: &mut Tensors<'_, f64>);
}

impl<T: Compute> Reference for T {
    fn run_f32(&self, tensors: &mut Tensors<'_, f32>) {
        self.compute(tensors);
    }
    fn run_f64(&self, tensors: &mut Tensors<'_, f64>) {
        self.compute(tensors);
    }
}

/// The inputs of a backward pass that multiplies by f'(x): `x` is among them unless f is the identity.
pub(super) fn with_producer(
    producer: Activation,
    len: usize,
    mut inputs: Vec<(&'static str, usize)>,
) -> Vec<(&'static str, usize)> {
    if producer != Activation::Identity {
        inputs.push(("x", len));
    }
    inputs
}
