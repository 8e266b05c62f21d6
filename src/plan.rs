//! A compiled network: its tensors, and the passes over them in order.
//!
//! The plan is independent of the device. The CPU runs it directly ([`crate::fast`], [`crate::reference`]); for a GPU,
//! each pass is recorded as one or more dispatches ([`crate::ops::Record`]). Once every section is recorded, tensors
//! that are never alive at the same time are placed in the same storage ([`Plan::share`]).

mod exchange;
mod share;

use crate::ops::Op;
pub use crate::storage::{Region, StorageId};
pub use exchange::{Combine, Exchange};
use std::collections::HashMap;

/// Index of a tensor in its [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorId(pub usize);

/// Type of a storage's 4-byte elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// `f32`, or `f64` when the reference computes with it.
    Real,
    /// `u32`.
    Int,
}

/// A buffer that holds one or several tensors.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Name of the storage in `plan` and in errors.
    pub name: String,
    /// Number of elements.
    pub len: usize,
    /// Type of the elements.
    pub element: Element,
    /// Whether its tensors occupy the same memory at different times ([`Plan::share`]) rather than adjacent parts of
    /// it.
    pub in_turns: bool,
}

/// A named view of a storage.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// `<layer>.<name>`, with the name from the formulas: `conv1.dw`.
    pub name: String,
    /// Dimensions, the slowest-varying first.
    pub shape: Vec<usize>,
    /// The part of a storage that holds the tensor.
    pub region: Region,
}

/// One operation on tensors.
#[derive(Debug)]
pub struct Pass {
    /// Name of the pass: `<layer>.<pass>`.
    pub label: String,
    /// The operation that the pass performs.
    pub op: Box<dyn Op>,
    /// Tensors that are read, in the order of [`Op::inputs`].
    pub inputs: Vec<TensorId>,
    /// Tensors that are written, in the order of [`Op::outputs`].
    pub outputs: Vec<TensorId>,
}

impl Pass {
    /// Whether the dispatch with this label belongs to this pass: `conv1.forward.reduce` belongs to `conv1.forward`.
    /// A dispatch of joined passes, whose labels are separated by ` + `, belongs to each of them.
    pub(crate) fn has_dispatch(&self, dispatch: &str) -> bool {
        dispatch.split(" + ").any(|label| {
            let part = label.strip_prefix(&self.label);
            part.is_some_and(|part| part.is_empty() || part.starts_with('.'))
        })
    }

    /// The operation, if it is of this type.
    pub(crate) fn op<T: Op>(&self) -> Option<&T> {
        (&*self.op as &dyn std::any::Any).downcast_ref()
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

/// Alignment of slices of a storage in elements: 256 bytes, as WebGPU requires of binding offsets.
const SLICE_ALIGNMENT: usize = 64;

impl Plan {
    /// Adds a storage of `len` elements; with a length of 0, [`Plan::slice`] makes it grow.
    pub fn storage(&mut self, name: impl Into<String>, len: usize, element: Element) -> StorageId {
        self.storages.push(Storage { name: name.into(), len, element, in_turns: false });
        StorageId(self.storages.len() - 1)
    }

    /// Adds a tensor with a storage of its own.
    pub fn tensor(&mut self, name: impl Into<String>, shape: &[usize], element: Element) -> TensorId {
        let name = name.into();
        let storage = self.storage(name.clone(), 0, element);
        self.view(name, shape, storage, 0)
    }

    /// Adds a tensor after the last one in `storage`.
    pub fn slice(&mut self, name: impl Into<String>, shape: &[usize], storage: StorageId) -> TensorId {
        let offset = self.storages[storage.0].len.next_multiple_of(SLICE_ALIGNMENT);
        self.view(name, shape, storage, offset)
    }

    /// Adds a tensor at `offset` in a storage, which grows if necessary.
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

    /// The first tensor with this name.
    pub fn find(&self, name: &str) -> Option<TensorId> {
        self.by_name.get(name).copied()
    }

    /// The tensor with this id.
    pub fn get(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// A name for a region that a pass reads or writes: that of its own tensor there, else of any tensor there, else
    /// the range in the storage.
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

    /// A pass over tensors of this plan, whose lengths must be those that the operation declares.
    ///
    /// # Panics
    ///
    /// In debug builds, if the lengths differ: that is a mistake in a layer, which users cannot cause.
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
