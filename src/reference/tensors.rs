//! The tensors of one pass as slices of the storages that hold them, as operations on the CPU receive them.

use crate::ops::Step;
use crate::plan::{Pass, Plan, Region, StorageId};

/// The tensors of one pass, by the names that the operation gives them.
pub struct Tensors<'a, F> {
    /// The values of the per-step uniform.
    pub step: Step,
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

impl<'a, F> Slice<'a, F> {
    fn part(self, region: &Region) -> Slice<'a, F> {
        let range = region.offset..region.offset + region.len;
        match self {
            Slice::Real(values) => Slice::Real(&values[range]),
            Slice::Int(values) => Slice::Int(&values[range]),
        }
    }
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
    /// The floating-point input of this name.
    pub fn input(&self, name: &str) -> &'a [F] {
        match self.inputs.iter().find(|(n, _)| *n == name) {
            Some((_, Slice::Real(values))) => values,
            _ => unreachable!("no real input {name}"),
        }
    }

    /// The integer input of this name.
    pub fn input_int(&self, name: &str) -> &'a [u32] {
        match self.inputs.iter().find(|(n, _)| *n == name) {
            Some((_, Slice::Int(values))) => values,
            _ => unreachable!("no integer input {name}"),
        }
    }

    /// The floating-point output of this name; each output can be taken once.
    pub fn output(&mut self, name: &str) -> &'a mut [F] {
        match self.take(name) {
            Some(SliceMut::Real(values)) => values,
            _ => unreachable!("no real output {name}"),
        }
    }

    /// The integer output of this name; each output can be taken once.
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
    /// Runs `run` on copies in `f64` and rounds the outputs to `f32`.
    pub(super) fn widened(&mut self, run: impl FnOnce(&mut Tensors<'_, f64>)) {
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

/// A storage in the CPU's memory that holds numbers of type `F` or integers.
pub(crate) trait Held<F> {
    /// The content, for reading.
    fn read(&self) -> Slice<'_, F>;
    /// The content, for writing.
    fn write(&mut self) -> SliceMut<'_, F>;
    /// Moves the content out and leaves the storage empty.
    fn take(&mut self) -> Self;
}

/// Calls `run` with the tensors of a pass, by name, as slices of `storages`.
pub(crate) fn with_tensors<F, S: Held<F>, T>(
    storages: &mut [S],
    plan: &Plan,
    pass: &Pass,
    step: Step,
    run: impl FnOnce(&mut Tensors<'_, F>) -> T,
) -> T {
    // A pass never reads a storage that it writes, so the storages that it writes can be moved out while it runs.
    let written: Vec<Region> = pass.outputs.iter().map(|id| plan.get(*id).region).collect();
    let mut taken: Vec<(StorageId, S)> = Vec::new();
    for Region { storage, .. } in &written {
        if taken.iter().all(|(known, _)| known != storage) {
            taken.push((*storage, storages[storage.0].take()));
        }
    }
    let inputs = pass.op.inputs().into_iter().zip(&pass.inputs).map(|((name, _), id)| {
        let region = plan.get(*id).region;
        (name, storages[region.storage.0].read().part(&region))
    });
    let inputs = inputs.collect();
    let outputs = outputs(pass, &written, taken.iter_mut().map(|(storage, held)| (*storage, held.write())));
    let done = run(&mut Tensors { step, inputs, outputs });
    for (storage, held) in taken {
        storages[storage.0] = held;
    }
    done
}

/// The outputs of a pass, which lie in the `written` regions, as slices of the storages that it writes.
fn outputs<'a, F>(
    pass: &Pass,
    written: &[Region],
    storages: impl Iterator<Item = (StorageId, SliceMut<'a, F>)>,
) -> Vec<(&'static str, Option<SliceMut<'a, F>>)> {
    let mut outputs = Vec::new();
    for (storage, mut rest) in storages {
        let names = pass.op.outputs().into_iter().map(|(name, _)| name);
        let mut within: Vec<_> = names.zip(written).filter(|(_, region)| region.storage == storage).collect();
        // In the order of their offsets, so that each can be split off the front of the rest.
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
