//! What layers record on: the passes of one section so far, and the plan whose tensors they use.
//!
//! Tensors are had by name, and made where there is none of that name: so the evaluation section works in the
//! activations of the training section. Each has a storage of its own until [`Plan::share`] looks at all sections.

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
        self.plan.find(name).unwrap_or_else(|| self.plan.tensor(name, shape, element))
    }

    /// `<layer>.y` of a layer, for a whole batch.
    pub fn output(&mut self, at: &Site<'_>) -> TensorId {
        let shape = self.batched(at.output);
        self.tensor(&at.label("y"), &shape, Element::Real)
    }

    /// `<layer>.dx` of a layer, for a whole batch.
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

    /// A shape with the batch before it: `[N,H,W,C]` or `[N,I]`.
    pub fn batched(&self, shape: Shape) -> Vec<usize> {
        match shape {
            Shape::Image([height, width, channels]) => vec![self.batch, height, width, channels],
            Shape::Flat(features) => vec![self.batch, features],
        }
    }
}
