//! The tape on which layers record their passes: the passes of one section so far, and the plan that holds their
//! tensors.
//!
//! Tensors are looked up by name and created if they do not exist, so the evaluation section reuses the activations of
//! the training section. Each tensor has a storage of its own until [`Plan::share`] has seen all sections.

use super::{Op, Site};
use crate::plan::{Combine, Element, Exchange, Pass, Plan, TensorId};
use crate::shape::Shape;

/// A section of a plan while it is recorded.
#[derive(Debug)]
pub struct Tape<'a> {
    plan: &'a mut Plan,
    passes: Vec<Pass>,
    exchanges: Vec<Exchange>,
    batch: usize,
    training: bool,
    syncs: bool,
}

impl<'a> Tape<'a> {
    /// An empty section.
    pub fn new(plan: &'a mut Plan, batch: usize, training: bool) -> Tape<'a> {
        Tape { plan, passes: Vec::new(), exchanges: Vec::new(), batch, training, syncs: false }
    }

    /// The same section, in which ranks share the statistics of a batch.
    pub fn syncing(self, syncs: bool) -> Tape<'a> {
        Tape { syncs, ..self }
    }

    /// Whether ranks share the statistics of a batch: then a layer must [exchange](Tape::exchange) them.
    pub fn syncs(&self) -> bool {
        self.syncs
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

    /// Number of passes so far.
    pub fn len(&self) -> usize {
        self.passes.len()
    }

    /// Whether there are no passes yet.
    pub fn is_empty(&self) -> bool {
        self.passes.is_empty()
    }

    /// Lets the ranks combine tensors between the last pass and the next one.
    pub fn exchange(&mut self, tensors: Vec<TensorId>, combine: Combine) {
        let after = self.passes.len();
        self.exchanges.push(Exchange { after, before: after, tensors, combine });
    }

    /// Adds exchanges, each at its own place.
    pub fn add_exchanges(&mut self, exchanges: Vec<Exchange>) {
        self.exchanges.extend(exchanges);
        self.exchanges.sort_by_key(|exchange| exchange.after);
    }

    /// A tensor that reaches from the first to the last of these, which lie in one storage.
    pub fn span(&mut self, tensors: &[TensorId]) -> TensorId {
        let regions: Vec<_> = tensors.iter().map(|id| self.plan.get(*id).region).collect();
        let start = regions.iter().map(|region| region.offset).min().unwrap_or(0);
        let end = regions.iter().map(|region| region.offset + region.len).max().unwrap_or(0);
        let storage = regions[0].storage;
        debug_assert!(regions.iter().all(|region| region.storage == storage));
        let name = format!("{}…", self.plan.get(tensors[0]).name);
        self.plan.view(name, &[end - start], storage, start)
    }

    /// The passes, and the exchanges between them, in order.
    pub fn finish(self) -> (Vec<Pass>, Vec<Exchange>) {
        (self.passes, self.exchanges)
    }

    /// The dimensions of a whole batch of a shape: `[N,H,W,C]` or `[N,I]`.
    pub fn batched(&self, shape: Shape) -> Vec<usize> {
        match shape {
            Shape::Image([height, width, channels]) => vec![self.batch, height, width, channels],
            Shape::Flat(features) => vec![self.batch, features],
        }
    }
}
