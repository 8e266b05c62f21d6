//! What layers record on: the passes of one section so far, and the plan whose tensors they use.
//!
//! Tensors are had by name, and made where there is none of that name: so the evaluation section works in the
//! activations of the training section. Gradients of activations alternate between two storages, `gradient.a` and
//! `gradient.b`: a pass may not read and write the same one.

use super::{Op, Site};
use crate::plan::{Element, Pass, Plan, StorageId, TensorId};
use crate::shape::Shape;

/// A section of a plan while it is recorded.
#[derive(Debug)]
pub struct Tape<'a> {
    plan: &'a mut Plan,
    passes: Vec<Pass>,
    batch: usize,
    training: bool,
}

impl<'a> Tape<'a> {
    /// An empty section.
    pub fn new(plan: &'a mut Plan, batch: usize, training: bool) -> Tape<'a> {
        Tape { plan, passes: Vec::new(), batch, training }
    }

    /// N, the rows of everything that depends on the batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Whether this is the training section: dropout acts only there.
    pub fn training(&self) -> bool {
        self.training
    }

    /// Elements of a tensor.
    pub fn len_of(&self, id: TensorId) -> usize {
        self.plan.get(id).region.len
    }

    /// The tensor of this name, which is made if there is none.
    pub fn tensor(&mut self, name: &str, shape: &[usize], element: Element) -> TensorId {
        match self.find(name) {
            Some(id) => id,
            None => self.plan.tensor(name, shape, element),
        }
    }

    /// `<layer>.y` of a layer, for a whole batch.
    pub fn output(&mut self, at: &Site<'_>) -> TensorId {
        let shape = self.batched(at.output);
        self.tensor(&at.label("y"), &shape, Element::Real)
    }

    /// `<layer>.dx` of a layer, in the storage of activation gradients that does not hold `dy`.
    pub fn input_gradient(&mut self, at: &Site<'_>, dy: TensorId) -> TensorId {
        let shape = self.batched(at.input);
        self.gradient(&at.label("dx"), &shape, Some(dy))
    }

    /// The gradient of an activation, in the storage that does not hold `beside`.
    pub fn gradient(&mut self, name: &str, shape: &[usize], beside: Option<TensorId>) -> TensorId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let a = self.storage("gradient.a");
        let storage = match beside {
            Some(id) if self.plan.get(id).region.storage == a => self.storage("gradient.b"),
            _ => a,
        };
        self.plan.view(name, shape, storage, 0)
    }

    /// Appends a pass.
    pub fn pass(&mut self, label: impl Into<String>, op: impl Op + 'static, inputs: &[TensorId], outputs: &[TensorId]) {
        self.passes.push(self.plan.pass(label, op, inputs, outputs));
    }

    /// The passes, in order.
    pub fn finish(self) -> Vec<Pass> {
        self.passes
    }

    /// A shape with the batch before it: `[N,H,W,C]` or `[N,I]`.
    pub fn batched(&self, shape: Shape) -> Vec<usize> {
        match shape {
            Shape::Image([height, width, channels]) => vec![self.batch, height, width, channels],
            Shape::Flat(features) => vec![self.batch, features],
        }
    }

    fn find(&self, name: &str) -> Option<TensorId> {
        self.plan.tensors.iter().position(|tensor| tensor.name == name).map(TensorId)
    }

    fn storage(&mut self, name: &str) -> StorageId {
        match self.plan.storages.iter().position(|storage| storage.name == name) {
            Some(index) => StorageId(index),
            None => self.plan.storage(name, 0, Element::Real),
        }
    }
}
