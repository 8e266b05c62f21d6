//! Storages of the weights in a plan, and the end of a training step, which updates them.

use super::{CompileOptions, Network, NetworkParameter, OptimizerState};
use crate::ops::{Tape, accumulate, adam, average, clip, sgd};
use crate::options::{Moments, Optimizer, StepOptions};
use crate::plan::{Combine, Element, Exchange, Plan, TensorId};

/// Least number of gradients that are exchanged at once, unless fewer are left: 256 KiB, for which a message takes much
/// longer than its latency.
const PIECE: usize = 1 << 16;

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
    /// The sum of the gradients over the parts of a batch, if there are several.
    pub sum: Option<Bank>,
    pub optimizer_states: Vec<(OptimizerState, Bank)>,
}

impl Banks {
    /// The weights used in evaluation and prediction: their average, if there is one.
    pub fn eval_parameters(&self) -> &Bank {
        let average =
            self.optimizer_states.iter().find(|(optimizer_state, _)| *optimizer_state == OptimizerState::Average);
        average.map_or(&self.weights, |(_, bank)| bank)
    }

    /// The gradients of a whole batch.
    fn of_batch(&self) -> Option<&Bank> {
        self.sum.as_ref().or(self.gradients.as_ref())
    }

    /// Records the pass that adds the gradients of a part to those of the parts before it, if there are several.
    pub fn accumulate(&self, tape: &mut Tape<'_>) {
        if let (Some(gradients), Some(sum)) = (&self.gradients, &self.sum) {
            let op = accumulate::Add { len: tape.len_of(sum.learned) };
            tape.pass("gradients.sum", op, &[gradients.learned], &[sum.learned]);
        }
    }

    /// Records the exchange of the gradients, and of running statistics, if every rank has its own.
    ///
    /// Gradients are exchanged in pieces, as soon as enough of them are computed: on a GPU, a piece is exchanged while
    /// the gradients of earlier layers are computed. `ready` says for each layer, from the last to the first, after how
    /// many passes its gradients are computed. Gradients that a layer has exchanged itself are left out.
    pub fn exchange(
        &self,
        tape: &mut Tape<'_>,
        network: &Network,
        parameters: &[NetworkParameter],
        options: &CompileOptions,
        ready: &[(usize, usize)],
    ) {
        let Some(bank) = self.of_batch() else { return };
        let update = tape.len();
        let has_statistics =
            |layer: usize| network.layers[layer].layer.batch_statistics(network.layers[layer].input).is_some();
        let mut piece: Vec<TensorId> = Vec::new();
        let mut exchanges = Vec::new();
        for (index, (layer, after)) in ready.iter().enumerate() {
            let own =
                parameters.iter().zip(&bank.slices).filter(|(of, _)| of.layer == *layer && of.parameter.is_learned);
            let is_exchanged = options.syncs() && has_statistics(*layer);
            if !is_exchanged {
                piece.extend(own.map(|(_, slice)| *slice));
            }
            // What the last part of a batch has computed is in the sum only at the end.
            let after = if self.sum.is_some() { update } else { *after };
            let is_last = index + 1 == ready.len();
            let is_full = piece.iter().map(|id| tape.len_of(*id)).sum::<usize>() >= PIECE && self.sum.is_none();
            if (is_full || is_last || is_exchanged) && !piece.is_empty() {
                let tensor = tape.span(&std::mem::take(&mut piece));
                exchanges.push(Exchange { after, before: update, tensors: vec![tensor], combine: Combine::Sum });
            }
        }
        if self.weights.learned != self.weights.whole && !options.syncs() {
            let kept = parameters.iter().zip(&self.weights.slices).filter(|(of, _)| !of.parameter.is_learned);
            let tensor = tape.span(&kept.map(|(_, slice)| *slice).collect::<Vec<_>>());
            exchanges.push(Exchange { after: update, before: update, tensors: vec![tensor], combine: Combine::Mean });
        }
        tape.add_exchanges(exchanges);
    }

    /// Records the pass that updates the weights, preceded by gradient clipping if needed, and followed by averaging.
    pub fn update(&self, tape: &mut Tape<'_>, options: &StepOptions) {
        let weight_decay = options.weight_decay;
        let len = tape.len_of(self.weights.learned);
        let mut outputs = vec![self.weights.learned];
        let own =
            self.optimizer_states.iter().filter(|(optimizer_state, _)| *optimizer_state != OptimizerState::Average);
        outputs.extend(own.map(|(_, bank)| bank.learned));
        let mut inputs: Vec<TensorId> = self.of_batch().iter().map(|bank| bank.learned).collect();
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
