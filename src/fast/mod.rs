//! Walks a plan on the CPU, fast: the passes of [`mod@crate::reference`], by vector instructions and all cores.
//!
//! Each operation says in its `fast.rs` how it is computed here ([`Fast`]); what has no such file runs the reference.
//! Nearly all arithmetic of a step is in two loops, `product` and `outer`, which read their operands where they lie:
//! no matrix of windows is written. Loops are compiled several times, for different vector instructions
//! ([`Instructions`], by the crate `pulp`), and the program takes the widest that its CPU has.
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

/// Numbers too small for the exponent, which a moment becomes where gradients stay zero; they are slow on many CPUs, and no
/// sum would ever know.
#[inline(always)]
pub(crate) fn flushed(value: f32) -> f32 {
    if value.abs() < f32::MIN_POSITIVE { 0.0 } else { value }
}

/// A gradient as an update takes it.
#[inline(always)]
pub(crate) fn scaled(gradient: f32, scale: Option<f32>) -> f32 {
    scale.map_or(gradient, |scale| scale * gradient)
}

/// How an operation is computed fast: `fast.rs`.
pub trait Fast: crate::ops::Reference {
    /// Reads the inputs, writes the outputs, within the error bounds of the tests. Fails where the memory to work in cannot
    /// be had; the outputs then hold anything.
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, _team: &Team) -> Result<()> {
        self.run_f32(tensors);
        Ok(())
    }
}

/// What needs the most memory, in errors.
pub(crate) const TENSORS: &str = "the network with its batch and data";

/// A plan's storages in the CPU's memory, and the threads that work on them. Passes allocate no tensor: what they need
/// besides, the team keeps from step to step.
pub struct CpuBackend {
    team: Arc<Team>,
    storages: Vec<Stored>,
}

impl CpuBackend {
    /// The storages of a plan, with zeros in them.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Memory`] when the memory for the tensors cannot be had.
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
    /// [`crate::Error::Memory`] when a pass cannot be given the memory that it works in. What it writes is then undefined.
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
