//! Walks a plan on the CPU, pass by pass, in `f64`, with tensors that are kept in `f32` or `f64`.
//!
//! With `f32` each pass reads tensors of `f32`, computes in `f64` and rounds what it writes once. So the reference is more
//! exact than all that is compared with it, however long its sums are.

use crate::plan::{Element, Pass, Plan, Region, StorageId};
use num_traits::Float;
use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{AddAssign, SubAssign};

/// The number types that tensors are kept in: `f32`, and `f64` where the reference judges others.
pub trait Real: Float + AddAssign + SubAssign + Sum + Debug + Default + Send + Sync + 'static {
    /// Rounds if it must.
    fn of(value: f64) -> Self;
    /// Runs an operation on tensors of this type, in `f64`.
    fn run(op: &dyn crate::ops::Reference, tensors: &mut Tensors<'_, Self>);
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }
    fn run(op: &dyn crate::ops::Reference, tensors: &mut Tensors<'_, Self>) {
        tensors.widened(|tensors| op.run_f64(tensors));
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn run(op: &dyn crate::ops::Reference, tensors: &mut Tensors<'_, Self>) {
        op.run_f64(tensors);
    }
}

/// The content of a storage.
#[derive(Clone, Debug, PartialEq)]
pub enum Data<F> {
    /// Numbers
    Real(Vec<F>),
    /// Counts, labels, packed bytes
    Int(Vec<u32>),
}

/// The tensors of one pass, by the names that its operation gives them.
pub struct Tensors<'a, F> {
    /// The values of the per-step uniform.
    pub step: crate::ops::Step,
    pub(crate) inputs: Vec<(&'static str, Slice<'a, F>)>,
    pub(crate) outputs: Vec<(&'static str, Option<SliceMut<'a, F>>)>,
}

pub(crate) enum Slice<'a, F> {
    Real(&'a [F]),
    Int(&'a [u32]),
}

pub(crate) enum SliceMut<'a, F> {
    Real(&'a mut [F]),
    Int(&'a mut [u32]),
}

impl<'a, F> SliceMut<'a, F> {
    fn split(self, len: usize) -> (SliceMut<'a, F>, SliceMut<'a, F>) {
        match self {
            SliceMut::Real(values) => {
                let (first, behind) = values.split_at_mut(len);
                (SliceMut::Real(first), SliceMut::Real(behind))
            }
            SliceMut::Int(values) => {
                let (first, behind) = values.split_at_mut(len);
                (SliceMut::Int(first), SliceMut::Int(behind))
            }
        }
    }

    fn skip(self, len: usize) -> SliceMut<'a, F> {
        self.split(len).1
    }
}

impl<'a, F> Tensors<'a, F> {
    /// An input of numbers.
    pub fn input(&self, name: &str) -> &'a [F] {
        match self.inputs.iter().find(|(n, _)| *n == name) {
            Some((_, Slice::Real(values))) => values,
            _ => unreachable!("no real input {name}"),
        }
    }

    /// An input of integers.
    pub fn input_int(&self, name: &str) -> &'a [u32] {
        match self.inputs.iter().find(|(n, _)| *n == name) {
            Some((_, Slice::Int(values))) => values,
            _ => unreachable!("no integer input {name}"),
        }
    }

    /// An output of numbers; each can be taken once.
    pub fn output(&mut self, name: &str) -> &'a mut [F] {
        match self.take(name) {
            Some(SliceMut::Real(values)) => values,
            _ => unreachable!("no real output {name}"),
        }
    }

    /// An output of integers; each can be taken once.
    pub fn output_int(&mut self, name: &str) -> &'a mut [u32] {
        match self.take(name) {
            Some(SliceMut::Int(values)) => values,
            _ => unreachable!("no integer output {name}"),
        }
    }

    fn take(&mut self, name: &str) -> Option<SliceMut<'a, F>> {
        self.outputs.iter_mut().find(|(n, _)| *n == name).and_then(|(_, slice)| slice.take())
    }
}

impl Tensors<'_, f32> {
    /// Runs on copies in `f64`, and rounds what was written.
    fn widened(&mut self, run: impl FnOnce(&mut Tensors<'_, f64>)) {
        let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
        let mut read = Vec::new();
        for (_, slice) in &self.inputs {
            read.push(if let Slice::Real(values) = slice { wide(values) } else { Vec::new() });
        }
        let mut written = Vec::new();
        for (_, slice) in &self.outputs {
            written.push(if let Some(SliceMut::Real(values)) = slice { wide(values) } else { Vec::new() });
        }
        let inputs = self.inputs.iter().zip(&read).map(|((name, slice), wide)| match slice {
            Slice::Real(_) => (*name, Slice::Real(wide.as_slice())),
            Slice::Int(words) => (*name, Slice::Int(words)),
        });
        let outputs = self.outputs.iter_mut().zip(&mut written).map(|((name, slice), wide)| match slice {
            Some(SliceMut::Int(words)) => (*name, Some(SliceMut::Int(words))),
            _ => (*name, Some(SliceMut::Real(wide.as_mut_slice()))),
        });
        run(&mut Tensors { step: self.step, inputs: inputs.collect(), outputs: outputs.collect() });
        for ((_, slice), wide) in self.outputs.iter_mut().zip(&written) {
            if let Some(SliceMut::Real(values)) = slice {
                values.iter_mut().zip(wide).for_each(|(value, wide)| *value = *wide as f32);
            }
        }
    }
}

/// The outputs of a pass, which lie in the `written` regions, as slices of the storages that it writes.
pub(crate) fn outputs<'a, F>(
    pass: &Pass,
    written: &[Region],
    storages: impl Iterator<Item = (StorageId, SliceMut<'a, F>)>,
) -> Vec<(&'static str, Option<SliceMut<'a, F>>)> {
    let mut outputs = Vec::new();
    for (storage, mut rest) in storages {
        let names = pass.op.outputs().into_iter().map(|(name, _)| name);
        let mut within: Vec<_> = names.zip(written).filter(|(_, region)| region.storage == storage).collect();
        // In the order in which they lie there: each is cut off the front of what is left.
        within.sort_by_key(|(_, region)| region.offset);
        let mut cut = 0;
        for (name, region) in within {
            let (slice, behind) = rest.skip(region.offset - cut).split(region.len);
            outputs.push((name, Some(slice)));
            (rest, cut) = (behind, region.offset + region.len);
        }
    }
    outputs
}

/// A plan's storages in the CPU's memory.
pub struct ReferenceBackend<F> {
    storages: Vec<Data<F>>,
}

impl<F: Real> ReferenceBackend<F> {
    /// Everything zero.
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
    pub fn run(&mut self, plan: &Plan, pass: &Pass, step: crate::ops::Step) {
        // A pass never reads a storage that it writes, so what it writes can be taken out meanwhile.
        let written: Vec<Region> = pass.outputs.iter().map(|id| plan.get(*id).region).collect();
        let mut taken: Vec<(StorageId, Data<F>)> = Vec::new();
        for Region { storage, .. } in &written {
            if taken.iter().all(|(known, _)| known != storage) {
                taken.push((*storage, std::mem::replace(&mut self.storages[storage.0], Data::Int(Vec::new()))));
            }
        }
        let range = |region: &Region| region.offset..region.offset + region.len;
        let inputs = pass.op.inputs().into_iter().zip(&pass.inputs).map(|((name, _), id)| {
            let region = plan.get(*id).region;
            let slice = match &self.storages[region.storage.0] {
                Data::Real(values) => Slice::Real(&values[range(&region)]),
                Data::Int(values) => Slice::Int(&values[range(&region)]),
            };
            (name, slice)
        });
        let whole = taken.iter_mut().map(|(storage, data)| match data {
            Data::Real(values) => (*storage, SliceMut::Real(values)),
            Data::Int(values) => (*storage, SliceMut::Int(values)),
        });
        let outputs = outputs(pass, &written, whole);
        let mut tensors = Tensors { step, inputs: inputs.collect(), outputs };
        F::run(pass.op.as_ref(), &mut tensors);
        for (storage, data) in taken {
            self.storages[storage.0] = data;
        }
    }
}
