//! Storages of the weights in a plan, and the end of a training step, which updates them.

use super::{NetworkParameter, OptimizerState};
use crate::ops::{Tape, adam, average, clip, sgd};
use crate::options::{Moments, Optimizer, StepOptions};
use crate::plan::{Element, Plan, TensorId};

/// A storage with a slice for each parameter.
pub(super) struct Bank {
    /// The whole storage.
    pub whole: TensorId,
    /// The first part, with all learned values. Values that are only kept from step to step come after it, out of the
    /// optimizer's reach.
    pub learned: TensorId,
    /// The slices in the order of the parameters.
    pub slices: Vec<TensorId>,
}

impl Bank {
    /// `prefix` is put before the parameter's letter: `conv1.dw` with `d`.
    pub fn new(plan: &mut Plan, name: &str, prefix: &str, parameters: &[NetworkParameter]) -> Bank {
        let storage = plan.storage(name, 0, Element::Real);
        let mut slices: Vec<Option<TensorId>> = vec![None; parameters.len()];
        let mut add = |plan: &mut Plan, is_learned: bool| {
            let wanted = parameters.iter().zip(&mut slices).filter(|(of, _)| of.parameter.is_learned == is_learned);
            for (of, slice) in wanted {
                let tensor = match of.tensor.rsplit_once('.') {
                    Some((layer, symbol)) => format!("{layer}.{prefix}{symbol}"),
                    None => format!("{prefix}{}", of.tensor),
                };
                *slice = Some(plan.slice(tensor, &of.parameter.shape, storage));
            }
            // A multiple of every vector width, so that the update can use the widest.
            plan.storages[storage.0].len.next_multiple_of(8)
        };
        let learned = add(plan, true);
        let all = add(plan, false);
        let whole = plan.view(name, &[all], storage, 0);
        let learned = if learned == all { whole } else { plan.view(format!("{name}.learned"), &[learned], storage, 0) };
        Bank { whole, learned, slices: slices.into_iter().flatten().collect() }
    }
}

/// The banks of a training step, with equal layouts.
pub(super) struct Banks {
    pub weights: Bank,
    pub gradients: Option<Bank>,
    pub optimizer_states: Vec<(OptimizerState, Bank)>,
}

impl Banks {
    /// The weights used in evaluation and prediction: their average, if there is one.
    pub fn eval_parameters(&self) -> &Bank {
        let average =
            self.optimizer_states.iter().find(|(optimizer_state, _)| *optimizer_state == OptimizerState::Average);
        average.map_or(&self.weights, |(_, bank)| bank)
    }

    /// Records the pass that updates the weights, preceded by gradient clipping if needed, and followed by averaging.
    pub fn update(&self, tape: &mut Tape<'_>, options: &StepOptions) {
        let weight_decay = options.weight_decay;
        let len = tape.len_of(self.weights.learned);
        let mut outputs = vec![self.weights.learned];
        let own =
            self.optimizer_states.iter().filter(|(optimizer_state, _)| *optimizer_state != OptimizerState::Average);
        outputs.extend(own.map(|(_, bank)| bank.learned));
        let mut inputs: Vec<TensorId> = self.gradients.iter().map(|bank| bank.learned).collect();
        let clipped = options.clip_norm.is_some();
        if let Some(most) = options.clip_norm {
            let scale = tape.tensor("clip.scale", &[1], Element::Real);
            tape.pass("clip.scale", clip::Scale { len, most }, &inputs, &[scale]);
            inputs.push(scale);
        }
        match options.optimizer {
            Optimizer::Sgd { momentum, nesterov } => {
                let op = sgd::Update { len, momentum, nesterov, weight_decay, clipped };
                tape.pass("sgd.update", op, &inputs, &outputs);
            }
            Optimizer::Adam(Moments { beta1, beta2, epsilon })
            | Optimizer::AdamW(Moments { beta1, beta2, epsilon }) => {
                let decoupled = matches!(options.optimizer, Optimizer::AdamW(_));
                let op = adam::Update { len, beta1, beta2, epsilon, weight_decay, decoupled, clipped };
                tape.pass("adam.update", op, &inputs, &outputs);
            }
        }
        if let Some(decay) = options.ema {
            let op = average::Update { len: tape.len_of(self.weights.whole), decay };
            tape.pass("average.update", op, &[self.weights.whole], &[self.eval_parameters().whole]);
        }
    }
}
