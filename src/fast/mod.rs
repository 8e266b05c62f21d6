//! The CPU engine: runs a plan on all cores with vector instructions, within the error bounds of the
//! [reference](mod@crate::reference).
//!
//! Each operation implements [`Fast`] in its `fast.rs`; operations without that file run the reference. Nearly all
//! arithmetic of a step happens in two loop nests, `product` and `outer`, which read convolution windows directly from
//! the image: no im2col matrix is written. Loops are compiled several times, for different vector instructions
//! ([`Instructions`], by the crate `pulp`), and the program uses the widest that its CPU has.
//!
//! Results do not depend on the number of threads ([`Team`]). They may depend on the instructions: some CPUs round a
//! product before it is added, others do not.

mod buffer;
pub(crate) mod outer;
pub(crate) mod product;
pub(crate) mod sums;
mod team;
mod threads;

pub(crate) use team::vectorized;
pub use team::{Instructions, Team};

use crate::error::Result;
use crate::memory::{self, bytes_of};
use crate::ops::Step;
use crate::plan::{Element, Pass, Plan, Region};
use crate::reference::{Held, Slice, SliceMut, Tensors, with_tensors};
use buffer::Buffer;
use std::sync::Arc;

/// `value`, or zero if it is subnormal. Optimizer states become subnormal where gradients stay zero. Such numbers are
/// slow on many CPUs and too small to affect any result.
#[inline(always)]
pub(crate) fn flushed(value: f32) -> f32 {
    if value.abs() < f32::MIN_POSITIVE { 0.0 } else { value }
}

/// A gradient, multiplied by the clipping factor if there is one.
#[inline(always)]
pub(crate) fn scaled(gradient: f32, scale: Option<f32>) -> f32 {
    scale.map_or(gradient, |scale| scale * gradient)
}

/// The fast implementation of an operation on the CPU, in its `fast.rs`.
pub trait Fast: crate::ops::Reference {
    /// Computes the outputs from the inputs, within the error bounds of the tests. By default, runs the reference.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Memory`] when working memory cannot be allocated; the content of the outputs is then undefined.
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, _team: &Team) -> Result<()> {
        self.run_f32(tensors);
        Ok(())
    }
}

/// What the memory for all tensors is needed for, as errors name it.
pub(crate) const TENSORS: &str = "the network with its batch and data";

/// The storages of a plan in the CPU's memory, and the threads that work on them. Passes allocate no tensors: the team
/// keeps their working memory from step to step.
pub struct CpuBackend {
    team: Arc<Team>,
    storages: Vec<Stored>,
}

impl CpuBackend {
    /// Allocates the storages of a plan, filled with zeros.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Memory`] when there is not enough memory for the tensors.
    pub fn new(team: Arc<Team>, plan: &Plan) -> Result<CpuBackend> {
        memory::check_room(bytes_of::<f32>(plan.storages.iter().map(|storage| storage.len).sum()), TENSORS)?;
        let storages = plan
            .storages
            .iter()
            .map(|storage| Ok(Stored { element: storage.element, buffer: Buffer::new(storage.len, &storage.name)? }));
        Ok(CpuBackend { team, storages: storages.collect::<Result<_>>()? })
    }

    /// The numbers of a region.
    pub fn real(&mut self, region: Region) -> &mut [f32] {
        &mut self.storages[region.storage.0].buffer.reals_mut()[region.offset..][..region.len]
    }

    /// The integers of a region.
    pub fn int(&mut self, region: Region) -> &mut [u32] {
        &mut self.storages[region.storage.0].buffer.ints_mut()[region.offset..][..region.len]
    }

    /// Runs passes in order, once for each step.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Memory`] when working memory cannot be allocated. The outputs of that pass are then undefined.
    pub fn run(&mut self, plan: &Plan, passes: &[Pass], steps: &[Step]) -> Result<()> {
        let CpuBackend { team, storages } = self;
        team.install(|| {
            for step in steps {
                for pass in passes {
                    with_tensors(storages, plan, pass, *step, |tensors| pass.op.run_fast(tensors, team))?;
                }
            }
            Ok(())
        })
    }
}

/// A storage of a plan.
struct Stored {
    element: Element,
    buffer: Buffer,
}

impl Held<f32> for Stored {
    fn read(&self) -> Slice<'_, f32> {
        match self.element {
            Element::Real => Slice::Real(self.buffer.reals()),
            Element::Int => Slice::Int(self.buffer.ints()),
        }
    }

    fn write(&mut self) -> SliceMut<'_, f32> {
        match self.element {
            Element::Real => SliceMut::Real(self.buffer.reals_mut()),
            Element::Int => SliceMut::Int(self.buffer.ints_mut()),
        }
    }

    fn take(&mut self) -> Self {
        Stored { element: self.element, buffer: std::mem::take(&mut self.buffer) }
    }
}
