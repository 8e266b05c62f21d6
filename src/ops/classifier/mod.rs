//! The end of a classifier: the last dense layer, the loss, and the gradients of both in one pass.
//!
//! With ten classes these are a few thousand multiplications, but three passes of a plan: `dense.forward`,
//! `softmax.loss` and `dense.backward_input`. On a GPU each of them takes as long as it takes to start a dispatch, 5 to
//! 17 µs on an H100, where a whole step of `case2` took 474 (`benches/runs/2026-11-27-h100`). All three work row by row, so that one dispatch with a
//! workgroup for each row can do their work, without storing the logits.
//!
//! This pass is not recorded by a layer. A device that gains from it joins the three passes when it records them
//! ([`crate::ops::joined`]).

mod cases;
mod cpu;
mod gpu;

pub(crate) use cases::{drawn, edge_cases};

use super::dropout::Mask;
use super::softmax::{self, Cost};
use super::{Activation, Op, dense};
use crate::fast::Fast;
use crate::plan::{Pass, Plan};

/// Largest number of classes: the kernel keeps a sum for each of them in registers.
const MOST_CLASSES: usize = 32;

/// The three passes in one: reads `x`, `w`, `b` and `targets`, and writes `dy`, `loss`, `prediction` and `dx`.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Shapes of the dense layer, whose outputs are the logits.
    pub geometry: dense::Geometry,
    /// The activation f that produced `x`: `dx` is multiplied by f'(x).
    pub producer: Activation,
    /// The elements of `x` that were dropped after f; they are dropped from `dx` too.
    pub dropout: Option<Mask>,
    /// The loss function.
    pub cost: Cost,
    /// Label smoothing of the cross-entropy.
    pub smoothing: f32,
}

impl Loss {
    /// The first pass: `x w b -> z`, the logits.
    fn forward(&self) -> dense::Forward {
        dense::Forward { geometry: self.geometry, activation: Activation::Identity, dropout: None }
    }

    /// The second pass: `z targets -> dy loss prediction`.
    fn loss(&self) -> softmax::Loss {
        let dense::Geometry { batch, outputs, .. } = self.geometry;
        softmax::Loss { batch, classes: outputs, cost: self.cost, smoothing: self.smoothing }
    }

    /// The third pass: `dy w x -> dx`.
    fn backward(&self) -> dense::BackwardInput {
        dense::BackwardInput { geometry: self.geometry, producer: self.producer, dropout: self.dropout }
    }

    /// Joins three passes at the start of `passes`, if they are these.
    pub(super) fn join(_plan: &Plan, passes: &[Pass]) -> Option<(usize, Pass)> {
        let [forward, loss, backward, ..] = passes else { return None };
        let first: &dense::Forward = forward.op()?;
        let (second, third): (&softmax::Loss, &dense::BackwardInput) = (loss.op()?, backward.op()?);
        let geometry = first.geometry;
        let ([x, w, b], [z]) = (forward.inputs[..].try_into().ok()?, forward.outputs[..].try_into().ok()?);
        let ([of_loss, targets], [dy, losses, prediction]) =
            (loss.inputs[..].try_into().ok()?, loss.outputs[..].try_into().ok()?);
        let follows = of_loss == z && backward.inputs[..2] == [dy, w] && backward.inputs[2..].iter().all(|id| *id == x);
        let plain = first.activation == Activation::Identity && first.dropout.is_none();
        let fits = geometry.inputs.is_multiple_of(4) && geometry.outputs <= MOST_CLASSES;
        if !(follows && plain && fits) {
            return None;
        }
        let (producer, dropout, cost, smoothing) = (third.producer, third.dropout, second.cost, second.smoothing);
        let op = Loss { geometry, producer, dropout, cost, smoothing };
        let label = [&forward.label, &loss.label, &backward.label].map(String::as_str).join(" + ");
        let outputs = vec![dy, losses, prediction, backward.outputs[0]];
        Some((3, Pass { label, op: Box::new(op), inputs: vec![x, w, b, targets], outputs }))
    }
}

impl Op for Loss {
    fn name(&self) -> &'static str {
        "classifier.loss"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let dense::Geometry { batch, inputs, outputs } = self.geometry;
        vec![("x", batch * inputs), ("w", inputs * outputs), ("b", outputs), ("targets", batch)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        let dense::Geometry { batch, inputs, outputs } = self.geometry;
        vec![("dy", batch * outputs), ("loss", batch), ("prediction", batch), ("dx", batch * inputs)]
    }
    fn flops(&self) -> u64 {
        self.forward().flops() + self.backward().flops()
    }
}

/// The CPU runs the three passes, which the reference of this pass does as well.
impl Fast for Loss {}
