//! The tape on which layers record their passes: the passes of one section so far, and the plan that holds their
//! tensors.
//!
//! Tensors are looked up by name and created if they do not exist, so the evaluation section reuses the activations of
//! the training section. Each tensor has a storage of its own until [`Plan::share`] has seen all sections.

use super::{Op, Site};
use crate::plan::{Element, Pass, Plan, TensorId};
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

    /// Batch size, N.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Whether this is the training section: dropout acts only there.
    pub fn training(&self) -> bool {
        self.training
    }

    /// Number of elements of a tensor.
    pub fn len_of(&self, id: TensorId) -> usize {
        self.plan.get(id).region.len
    }

    /// The tensor with this name, which is created if it does not exist.
    pub fn tensor(&mut self, name: &str, shape: &[usize], element: Element) -> TensorId {
        self.plan.find(name).unwrap_or_else(|| self.plan.tensor(name, shape, element))
    }

    /// The output `<layer>.y` of a layer, for a whole batch.
    pub fn output(&mut self, at: &Site<'_>) -> TensorId {
        let shape = self.batched(at.output);
        self.tensor(&at.label("y"), &shape, Element::Real)
    }

    /// The input gradient `<layer>.dx` of a layer, for a whole batch.
    pub fn input_gradient(&mut self, at: &Site<'_>) -> TensorId {
        let shape = self.batched(at.input);
        self.tensor(&at.label("dx"), &shape, Element::Real)
    }

    /// Appends a pass.
    pub fn pass(&mut self, label: impl Into<String>, op: impl Op + 'static, inputs: &[TensorId], outputs: &[TensorId]) {
        self.passes.push(self.plan.pass(label, op, inputs, outputs));
    }

    /// The passes, in order.
    pub fn finish(self) -> Vec<Pass> {
        self.passes
    }

    /// The dimensions of a whole batch of a shape: `[N,H,W,C]` or `[N,I]`.
    pub fn batched(&self, shape: Shape) -> Vec<usize> {
        match shape {
            Shape::Image([height, width, channels]) => vec![self.batch, height, width, channels],
            Shape::Flat(features) => vec![self.batch, features],
        }
    }
}
