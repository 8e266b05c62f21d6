//! A network compiled to a list: tensors, and the passes over them in order.
//!
//! The plan knows no device. The CPU walks it as it stands ([`crate::fast`], [`crate::reference`]); for a GPU each pass is recorded as
//! one or more dispatches ([`crate::ops::Record`]). Once every section is recorded, tensors that are never alive at once
//! are laid into the same storage ([`Plan::share`]).

mod share;

use crate::ops::Op;
pub use crate::storage::{Region, StorageId};
use std::collections::HashMap;

/// Index of a tensor in its [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorId(pub usize);

/// What a storage's 4-byte elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// `f32` on the device; on the CPU the reference's number type
    Real,
    /// `u32` on every device
    Int,
}

/// A buffer, in which one or several tensors lie.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Name of the storage in `plan` and in errors.
    pub name: String,
    /// Number of elements.
    pub len: usize,
    /// Type of the elements.
    pub element: Element,
    /// Whether its tensors are there one after the other ([`Plan::share`]); else side by side.
    pub in_turns: bool,
}

/// A named view of a storage.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// `<layer>.<name>`, the name as the formulas have it: `conv1.dw`.
    pub name: String,
    /// Dimensions, slowest first.
    pub shape: Vec<usize>,
    /// Part of a storage that holds the tensor.
    pub region: Region,
}

/// One operation on tensors.
#[derive(Debug)]
pub struct Pass {
    /// Name of the pass: `<layer>.<pass>`.
    pub label: String,
    /// What is computed, and how.
    pub op: Box<dyn Op>,
    /// Tensors that are read, in the order of [`Op::inputs`].
    pub inputs: Vec<TensorId>,
    /// Tensors that are written, in the order of [`Op::outputs`].
    pub outputs: Vec<TensorId>,
}

impl Pass {
    /// Whether a dispatch of this label is one of this pass: `conv1.forward.reduce` is of `conv1.forward`.
    pub(crate) fn made(&self, dispatch: &str) -> bool {
        let part = dispatch.strip_prefix(&self.label);
        part.is_some_and(|part| part.is_empty() || part.starts_with('.'))
    }
}

/// Storages and the tensors in them.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Storages, by [`StorageId`].
    pub storages: Vec<Storage>,
    /// Tensors, by [`TensorId`].
    pub tensors: Vec<Tensor>,
    /// The first tensor of each name.
    by_name: HashMap<String, TensorId>,
}

/// Slices of shared storages start at multiples of 256 bytes, as WebGPU demands of binding offsets.
const SLICE_ALIGNMENT: usize = 64;

impl Plan {
    /// A new storage of `len` elements; zero means that [`Plan::slice`] will make it grow.
    pub fn storage(&mut self, name: impl Into<String>, len: usize, element: Element) -> StorageId {
        self.storages.push(Storage { name: name.into(), len, element, in_turns: false });
        StorageId(self.storages.len() - 1)
    }

    /// A tensor with a storage of its own.
    pub fn tensor(&mut self, name: impl Into<String>, shape: &[usize], element: Element) -> TensorId {
        let name = name.into();
        let storage = self.storage(name.clone(), 0, element);
        self.view(name, shape, storage, 0)
    }

    /// A tensor behind the last one in `storage`.
    pub fn slice(&mut self, name: impl Into<String>, shape: &[usize], storage: StorageId) -> TensorId {
        let offset = self.storages[storage.0].len.next_multiple_of(SLICE_ALIGNMENT);
        self.view(name, shape, storage, offset)
    }

    /// A tensor at `offset` of a storage, which grows if it must.
    pub fn view(&mut self, name: impl Into<String>, shape: &[usize], storage: StorageId, offset: usize) -> TensorId {
        let len = shape.iter().product();
        let held = &mut self.storages[storage.0].len;
        *held = (*held).max(offset + len);
        let region = Region { storage, offset, len };
        let (id, name) = (TensorId(self.tensors.len()), name.into());
        self.by_name.entry(name.clone()).or_insert(id);
        self.tensors.push(Tensor { name, shape: shape.to_vec(), region });
        id
    }

    /// The first tensor of this name.
    pub fn find(&self, name: &str) -> Option<TensorId> {
        self.by_name.get(name).copied()
    }

    /// The tensor of an id.
    pub fn get(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// What to call a region that a pass reads or writes: by its tensor there, else by any tensor there, else by its place in
    /// the storage.
    pub(crate) fn name(&self, pass: Option<&Pass>, region: &Region) -> String {
        let own = pass.into_iter().flat_map(|pass| pass.inputs.iter().chain(&pass.outputs)).map(|id| self.get(*id));
        match own.chain(&self.tensors).find(|tensor| tensor.region == *region) {
            Some(tensor) => tensor.name.clone(),
            None => {
                let storage = &self.storages[region.storage.0].name;
                format!("{storage}[{}..{}]", region.offset, region.offset + region.len)
            }
        }
    }

    /// A pass over tensors of this plan. Lengths are compared with what the operation says of itself.
    ///
    /// # Panics
    /// In debug builds, if they differ: that is a mistake in a layer, not something a user can bring about.
    pub fn pass(
        &self,
        label: impl Into<String>,
        op: impl Op + 'static,
        inputs: &[TensorId],
        outputs: &[TensorId],
    ) -> Pass {
        let label = label.into();
        let lens = |ids: &[TensorId]| ids.iter().map(|id| self.get(*id).region.len).collect::<Vec<_>>();
        let said = |operands: Vec<(&str, usize)>| operands.into_iter().map(|(_, len)| len).collect::<Vec<_>>();
        debug_assert_eq!(said(op.inputs()), lens(inputs), "{label}: inputs of {op:?}");
        debug_assert_eq!(said(op.outputs()), lens(outputs), "{label}: outputs of {op:?}");
        Pass { label, op: Box::new(op), inputs: inputs.to_vec(), outputs: outputs.to_vec() }
    }
}
