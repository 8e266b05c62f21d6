//! The reference: runs a plan on the CPU, pass by pass, in `f64`, with tensors stored as `f32` or `f64`.
//!
//! With tensors of `f32`, each pass computes in `f64` and rounds every result once, when it is stored. So the reference
//! is more accurate than everything that is compared with it, however long its sums are.

mod tensors;

pub use tensors::Tensors;
pub(crate) use tensors::{Held, Slice, SliceMut, with_tensors};

use crate::ops::{Reference, Step};
use crate::plan::{Element, Pass, Plan, Region};
use num_traits::Float;
use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{AddAssign, SubAssign};

/// The number types that tensors are stored in: `f32`, or `f64` when other results are verified against the reference.
pub trait Real: Float + AddAssign + SubAssign + Sum + Debug + Default + Send + Sync + 'static {
    /// The number of this type nearest to `value`.
    fn of(value: f64) -> Self;
    /// Runs an operation on tensors of this type, in `f64`.
    fn run(op: &dyn Reference, tensors: &mut Tensors<'_, Self>);
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }
    fn run(op: &dyn Reference, tensors: &mut Tensors<'_, Self>) {
        tensors.widened(|tensors| op.run_f64(tensors));
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn run(op: &dyn Reference, tensors: &mut Tensors<'_, Self>) {
        op.run_f64(tensors);
    }
}

/// The content of a storage.
#[derive(Clone, Debug, PartialEq)]
enum Data<F> {
    /// Floating-point numbers.
    Real(Vec<F>),
    /// Counts, labels, packed bytes.
    Int(Vec<u32>),
}

/// The storages of a plan in the CPU's memory.
pub struct ReferenceBackend<F> {
    storages: Vec<Data<F>>,
}

impl<F: Real> ReferenceBackend<F> {
    /// Allocates the storages of a plan, filled with zeros.
    pub fn new(plan: &Plan) -> Self {
        let zeros = |storage: &crate::plan::Storage| match storage.element {
            Element::Real => Data::Real(vec![F::zero(); storage.len]),
            Element::Int => Data::Int(vec![0; storage.len]),
        };
        ReferenceBackend { storages: plan.storages.iter().map(zeros).collect() }
    }

    /// The numbers of a region.
    pub fn real(&mut self, region: Region) -> &mut [F] {
        match &mut self.storages[region.storage.0] {
            Data::Real(values) => &mut values[region.offset..region.offset + region.len],
            Data::Int(_) => unreachable!("an integer storage"),
        }
    }

    /// The integers of a region.
    pub fn int(&mut self, region: Region) -> &mut [u32] {
        match &mut self.storages[region.storage.0] {
            Data::Int(values) => &mut values[region.offset..region.offset + region.len],
            Data::Real(_) => unreachable!("a real storage"),
        }
    }

    /// Runs one pass.
    pub fn run(&mut self, plan: &Plan, pass: &Pass, step: Step) {
        with_tensors(&mut self.storages, plan, pass, step, |tensors| F::run(pass.op.as_ref(), tensors));
    }
}

impl<F> Held<F> for Data<F> {
    fn read(&self) -> Slice<'_, F> {
        match self {
            Data::Real(values) => Slice::Real(values),
            Data::Int(values) => Slice::Int(values),
        }
    }

    fn write(&mut self) -> SliceMut<'_, F> {
        match self {
            Data::Real(values) => SliceMut::Real(values),
            Data::Int(values) => SliceMut::Int(values),
        }
    }

    fn take(&mut self) -> Self {
        std::mem::replace(self, Data::Int(Vec::new()))
    }
}
