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

pub(crate) use team::vectorized;
pub use team::{Instructions, Team};

use crate::ops::Step;
use crate::plan::{Element, Pass, Plan, Region};
use crate::reference::{Slice, SliceMut, Tensors};
use buffer::Buffer;
use std::sync::Arc;

/// How an operation is computed fast: `fast.rs`.
pub trait Fast: crate::ops::Reference {
    /// Reads the inputs, writes the outputs, within the error bounds of the tests.
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, _team: &Team) {
        self.run_f32(tensors);
    }
}

/// A plan's storages in the CPU's memory, and the threads that work on them. Passes allocate no tensor: what they need
/// besides, the team keeps from step to step.
pub struct Machine {
    team: Arc<Team>,
    storages: Vec<(Element, Buffer)>,
}

impl Machine {
    /// Everything zero.
    pub fn new(team: Arc<Team>, plan: &Plan) -> Machine {
        let storages = plan.storages.iter().map(|storage| (storage.element, Buffer::new(storage.len)));
        Machine { team, storages: storages.collect() }
    }

    /// The numbers of a region.
    pub fn real(&mut self, region: Region) -> &mut [f32] {
        &mut self.storages[region.storage.0].1.reals_mut()[region.offset..][..region.len]
    }

    /// The integers of a region.
    pub fn int(&mut self, region: Region) -> &mut [u32] {
        &mut self.storages[region.storage.0].1.ints_mut()[region.offset..][..region.len]
    }

    /// Runs passes in order, once for each step.
    pub fn run(&mut self, plan: &Plan, passes: &[Pass], steps: &[Step]) {
        let Machine { team, storages } = self;
        team.install(|| {
            for step in steps {
                for pass in passes {
                    run(team, storages, plan, pass, *step);
                }
            }
        });
    }
}

fn run(team: &Team, storages: &mut [(Element, Buffer)], plan: &Plan, pass: &Pass, step: Step) {
    // A pass never reads a storage that it writes, nor writes one twice, so outputs can be taken out meanwhile.
    let written: Vec<Region> = pass.outputs.iter().map(|id| plan.get(*id).region).collect();
    let mut taken: Vec<(Element, Buffer)> = written
        .iter()
        .map(|region| {
            let (element, buffer) = &mut storages[region.storage.0];
            (*element, std::mem::take(buffer))
        })
        .collect();
    let range = |region: &Region| region.offset..region.offset + region.len;
    let inputs = pass.op.inputs().into_iter().zip(&pass.inputs).map(|((name, _), id)| {
        let region = plan.get(*id).region;
        let (element, buffer) = &storages[region.storage.0];
        let slice = match element {
            Element::Real => Slice::Real(&buffer.reals()[range(&region)]),
            Element::Int => Slice::Int(&buffer.ints()[range(&region)]),
        };
        (name, slice)
    });
    let outputs = pass.op.outputs().into_iter().zip(&written).zip(&mut taken).map(|(((name, _), region), taken)| {
        let (element, buffer) = taken;
        let slice = match element {
            Element::Real => SliceMut::Real(&mut buffer.reals_mut()[range(region)]),
            Element::Int => SliceMut::Int(&mut buffer.ints_mut()[range(region)]),
        };
        (name, Some(slice))
    });
    let mut tensors = Tensors { step, inputs: inputs.collect(), outputs: outputs.collect() };
    pass.op.run_fast(&mut tensors, team);
    for (region, (_, buffer)) in written.iter().zip(taken) {
        storages[region.storage.0].1 = buffer;
    }
}
