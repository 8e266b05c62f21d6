//! The traits of an operation: names and lengths of its operands, its launch, its reference.

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
/// Every pass must have a launch, a reference, a fast implementation and cases, whose traits belong to the modules that
/// use them. So this module, [`mod@crate::reference`], [`crate::fast`], [`mod@crate::verify`] and [`crate::plan`]
/// depend on each other, which is intended.
pub trait Op: Any + Debug + Send + Sync + Record + Reference + Fast + Verify {
    /// Names of the operation and the pass: `conv2d.backward_weight`.
    fn name(&self) -> &'static str;
    /// Names, as in the formulas, and lengths in elements of the operands that are read.
    fn inputs(&self) -> Vec<(&'static str, usize)>;
    /// Names and lengths in elements of the operands that are written. They may be read as well if the formula does so,
    /// as in `sgd`.
    fn outputs(&self) -> Vec<(&'static str, usize)>;
    /// Number of multiplications and additions; 0 if they are not worth counting.
    fn flops(&self) -> u64 {
        0
    }
    /// Operands that the pass accesses only in part, or that it both reads and writes: name, and the number of elements
    /// that are read or written. All other operands are accessed once, as a whole.
    fn touched(&self) -> Vec<(&'static str, usize)> {
        Vec::new()
    }
}
// ANCHOR_END: op

/// How an operation is launched, in its `gpu.rs`.
pub trait Record {
    /// Appends the dispatches of the operation.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Network`] when a size is too large for the loops of the kernels.
    fn record(&self, to: &mut Recorder<'_>) -> Result<()>;
}

/// The reference of an operation, in its `cpu.rs`: one implementation for all number types.
pub trait Compute {
    /// Computes the outputs from the inputs.
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

/// Adds `x` to the inputs of a backward pass that multiplies by f'(x), unless f is the identity.
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
