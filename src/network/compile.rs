//! Compiles a network to a plan: the passes of a training step, an evaluation step and a prediction.
//!
//! The forward walk records each layer; an activation after a conv2d or dense layer becomes part of its epilogue, and so
//! does dropout between two layers that can take it over. The
//! backward walk follows the contract of [`crate::ops::Layer`] and stops at the first layer with weights, because the
//! gradient of the image is not needed. Weights, their gradients and each optimizer state have one storage each with
//! equal layout, so that one pass updates them all (`update.rs`). Evaluation and prediction reuse the activations of
//! training. Finally, the activations and their gradients are packed into as few storages as their lifetimes allow,
//! except for the tensors that the host accesses.

use super::options::CompileOptions;
use super::update::{Bank, Banks};
use super::{Network, NetworkParameter, OptimizerState};
use crate::error::{Error, Result};
use crate::ops::dropout::Mask;
use crate::ops::softmax::{self, Cost};
use crate::ops::{
    Activation, ChooseKernel, Flow, Joined, Site, Tape, activation, augment, gather_batch, joined, score,
};
use crate::options::{LARGEST_BATCH, OptionError, StepOptions};
use crate::plan::{Element, Exchange, Pass, Plan, TensorId};
use crate::shape::Shape;

/// A plan, its sections, and the tensors that the host reads and writes.
#[derive(Debug)]
pub struct Compiled {
    /// Storages and tensors.
    pub plan: Plan,
    /// The passes of a training step: gather, forward, loss, score, backward, update.
    pub train: Vec<Pass>,
    /// Number of passes of a training step before the update: they compute the gradients.
    pub update: usize,
    /// What ranks exchange during a training step, in order; empty for one rank.
    pub exchanges: Vec<Exchange>,
    /// The passes of an evaluation step: gather, forward, loss, score.
    pub evaluate: Vec<Pass>,
    /// The passes of a prediction: forward and softmax, from the `x` that the host has written.
    pub predict: Vec<Pass>,
    /// The tensors that the host accesses.
    pub tensors: KnownTensors,
}

/// Tensors that the host reads or writes, and all that must survive from step to step. Other tensors hold their
/// contents only as long as a step needs them.
#[derive(Clone, Debug)]
pub struct KnownTensors {
    /// All weights: the whole storage, including the gaps between parameters, which stay zero.
    pub weights: TensorId,
    /// Each parameter, in the order of [`Network::parameters`].
    pub parameters: Vec<TensorId>,
    /// Each parameter as used in evaluation and prediction: its average, if there is one.
    pub eval_parameters: Vec<TensorId>,
    /// All gradients, laid out like the weights, if there is a training section.
    pub gradients: Option<TensorId>,
    /// Each parameter's gradient; empty without a training section.
    pub parameter_gradients: Vec<TensorId>,
    /// The sum of the gradients over the parts of a batch, laid out like the weights, if there are several.
    pub gradient_sum: Option<TensorId>,
    /// The optimizer states of all weights, laid out like them, in the order of [`OptimizerState::needed`].
    pub optimizer_states: Vec<(OptimizerState, TensorId)>,
    /// The batch's images, `[N,H,W,C]` in `[0, 1]`.
    pub x: TensorId,
    /// The outputs of the last layer, `[N, classes]`.
    pub logits: TensorId,
    /// The softmax of the logits, `[N, classes]`, if there is a prediction section.
    pub probabilities: Option<TensorId>,
    /// The training set.
    pub train: Option<DataTensors>,
    /// The test set.
    pub test: Option<DataTensors>,
    /// Results of steps, if there is a training or evaluation section.
    pub scores: Option<ScoreTensors>,
}

/// A data set on the device; all tensors hold integers.
#[derive(Clone, Copy, Debug)]
pub struct DataTensors {
    /// Pixel bytes, four per word.
    pub images: TensorId,
    /// One label per image.
    pub labels: TensorId,
    /// One index per image: the order in which steps draw them.
    pub order: TensorId,
}

/// Results of steps. Training and evaluation share them.
#[derive(Clone, Copy, Debug)]
pub struct ScoreTensors {
    /// Labels of the batch, `[N]`, integers.
    pub targets: TensorId,
    /// Loss of each row, `[N]`.
    pub loss: TensorId,
    /// Predicted class of each row, `[N]`, integers.
    pub prediction: TensorId,
    /// Sum of the losses of a batch, indexed by [`crate::ops::Step::slot`].
    pub losses: TensorId,
    /// Number of correct predictions, by slot, integers.
    pub correct: TensorId,
    /// Predicted class of each image, by position in the order, integers; as many as the larger set has images.
    pub predictions: TensorId,
}

impl Compiled {
    /// Whether these are the passes of a training step.
    pub(crate) fn is_training(&self, passes: &[Pass]) -> bool {
        std::ptr::eq(passes, self.train.as_slice())
    }

    /// The passes of a section as a device with these kernel configurations runs them. Passes before and after an exchange
    /// or the update are not joined, because the device stops between them.
    pub fn joined<'a>(&self, passes: &'a [Pass], config: &impl ChooseKernel) -> Vec<Joined<'a>> {
        let is_training = self.is_training(passes);
        let stops = |index: usize| {
            let exchanges = self.exchanges.iter().any(|exchange| [exchange.after, exchange.before].contains(&index));
            is_training && (index == self.update || exchanges)
        };
        joined(&self.plan, passes, config, stops)
    }
}

impl KnownTensors {
    /// The tensor of an optimizer state, if a step needs it.
    pub fn optimizer_state(&self, wanted: OptimizerState) -> Option<TensorId> {
        self.optimizer_states.iter().find(|(optimizer_state, _)| *optimizer_state == wanted).map(|(_, id)| *id)
    }

    /// The banks of weights that are used in training and in evaluation: one, or two with a moving average.
    pub fn banks(&self) -> Vec<TensorId> {
        [Some(self.weights), self.optimizer_state(OptimizerState::Average)].into_iter().flatten().collect()
    }

    /// All of these tensors.
    fn all(&self) -> Vec<TensorId> {
        // Without `..`, so that a new field cannot be forgotten here.
        let KnownTensors {
            weights,
            parameters,
            eval_parameters,
            gradients,
            parameter_gradients,
            gradient_sum,
            optimizer_states,
            x,
            logits,
            probabilities,
            train,
            test,
            scores,
        } = self;
        let mut all = vec![*weights, *x, *logits];
        all.extend(parameters.iter().chain(eval_parameters).chain(parameter_gradients));
        all.extend([gradients, gradient_sum, probabilities].into_iter().flatten());
        all.extend(optimizer_states.iter().map(|(_, id)| id));
        for DataTensors { images, labels, order } in train.iter().chain(test) {
            all.extend([images, labels, order]);
        }
        if let Some(ScoreTensors { targets, loss, prediction, losses, correct, predictions }) = scores {
            all.extend([targets, loss, prediction, losses, correct, predictions]);
        }
        all
    }
}

impl Network {
    /// Compiles the network with these options.
    pub fn compile(&self, options: &CompileOptions) -> Result<Compiled> {
        if !(1..=LARGEST_BATCH).contains(&options.batch) {
            return Err(Error::Usage(format!(
                "batch size: expected 1 to {LARGEST_BATCH} images, got {}",
                options.batch
            )));
        }
        let step = &options.step;
        self.check_augment(step)?;
        if step.label_smoothing > 0.0 && step.loss.unwrap_or(self.loss) != Cost::CrossEntropy {
            let problem = OptionError::new("label_smoothing", "belongs to ").field("loss");
            return Err(Error::Option(problem.and(" cross-entropy; give both or neither")));
        }
        let mut plan = Plan::default();
        let parameters = self.parameters();
        let trains = options.train_images > 0;
        let mut bank = |name: &str, prefix: &str| Bank::new(&mut plan, name, prefix, &parameters);
        let weights = bank("weights", "");
        let gradients = trains.then(|| bank("gradients", "d"));
        let needed = if trains { OptimizerState::needed(step) } else { Vec::new() };
        let optimizer_states = needed
            .into_iter()
            .map(|optimizer_state| (optimizer_state, bank(optimizer_state.name(), optimizer_state.letter())));
        let optimizer_states = optimizer_states.collect();
        let sum = (trains && options.parts > 1).then(|| Bank::new(&mut plan, "gradient_sum", "sum_d", &parameters));
        let banks = Banks { weights, gradients, sum, optimizer_states };
        let mut compiler = Compiler {
            network: self,
            options,
            parameters: &parameters,
            weights: &banks.weights.slices,
            gradients: banks.gradients.as_ref().map_or(&[], |bank| &bank.slices),
        };

        let (mut train, mut train_set, mut scores) = (Vec::new(), None, None);
        let (mut update, mut exchanges) = (0, Vec::new());
        // ANCHOR: train
        if trains {
            let mut tape = Tape::new(&mut plan, options.batch, true).syncing(options.syncs());
            let (x, set, score) = compiler.draw(&mut tape, "train", options.train_images);
            let visits = compiler.forward(&mut tape, x);
            let dy = compiler.judge(&mut tape, &visits, &score);
            let ready = compiler.backward(&mut tape, &visits, dy);
            // Behind the backward passes, so that the loss and the passes next to it can be joined.
            compiler.score(&mut tape, &score);
            banks.accumulate(&mut tape);
            update = tape.len();
            if options.ranks > 1 {
                banks.exchange(&mut tape, self, &parameters, options, &ready);
            }
            banks.update(&mut tape, step);
            (train, exchanges) = tape.finish();
            (train_set, scores) = (Some(set), Some(score));
        }
        // ANCHOR_END: train

        compiler.weights = &banks.eval_parameters().slices;
        let (mut evaluate, mut test_set) = (Vec::new(), None);
        if options.test_images > 0 {
            let mut tape = Tape::new(&mut plan, options.batch, false);
            let (x, set, score) = compiler.draw(&mut tape, "test", options.test_images);
            let visits = compiler.forward(&mut tape, x);
            compiler.judge(&mut tape, &visits, &score);
            compiler.score(&mut tape, &score);
            (evaluate, _) = tape.finish();
            (test_set, scores) = (Some(set), Some(score));
        }

        let mut tape = Tape::new(&mut plan, options.batch, false);
        let x = compiler.x(&mut tape);
        let visits = compiler.forward(&mut tape, x);
        let logits = last(&visits, x);
        let mut probabilities = None;
        let mut predict = Vec::new();
        if options.predict {
            let shape = [options.batch, self.classes()];
            let y = tape.tensor("probabilities", &shape, Element::Real);
            let op = softmax::Forward { batch: options.batch, classes: self.classes() };
            tape.pass("softmax.forward", op, &[logits], &[y]);
            probabilities = Some(y);
            (predict, _) = tape.finish();
        }

        check_sizes(&plan, options)?;
        let tensors = KnownTensors {
            weights: banks.weights.whole,
            eval_parameters: banks.eval_parameters().slices.clone(),
            parameters: banks.weights.slices,
            gradients: banks.gradients.as_ref().map(|bank| bank.whole),
            gradient_sum: banks.sum.map(|bank| bank.whole),
            parameter_gradients: banks.gradients.map(|bank| bank.slices).unwrap_or_default(),
            optimizer_states: banks
                .optimizer_states
                .into_iter()
                .map(|(optimizer_state, bank)| (optimizer_state, bank.whole))
                .collect(),
            x,
            logits,
            probabilities,
            train: train_set,
            test: test_set,
            scores,
        };
        plan.share(&[&train, &evaluate, &predict], &tensors.all());
        Ok(Compiled { plan, train, update, exchanges, evaluate, predict, tensors })
    }
}

impl Network {
    fn check_augment(&self, step: &StepOptions) -> Result<()> {
        let [height, width, _] = self.input;
        step.validate()?;
        if step.augment.is_some() && height.max(width) > augment::LARGEST_SIDE {
            let most = augment::LARGEST_SIDE;
            let problem = format!("supports images of at most {most} pixels per side, got {height} x {width}");
            return Err(Error::Option(OptionError::new("augment", problem)));
        }
        Ok(())
    }
}

/// A layer during the forward walk.
struct Visit {
    index: usize,
    activation: Activation,
    dropout: Option<Mask>,
    x: TensorId,
    y: TensorId,
    /// The activation that produced `x`.
    producer: Activation,
    /// The elements that were dropped from `x` by the layer that produced it.
    dropped: Option<Mask>,
    /// The activation that produced `y`.
    made: Activation,
}

/// The logits, or `x` if there is no layer.
fn last(visits: &[Visit], x: TensorId) -> TensorId {
    visits.last().map_or(x, |visit| visit.y)
}

struct Compiler<'a> {
    network: &'a Network,
    options: &'a CompileOptions,
    parameters: &'a [NetworkParameter],
    weights: &'a [TensorId],
    gradients: &'a [TensorId],
}

impl Compiler<'_> {
    fn x(&self, tape: &mut Tape<'_>) -> TensorId {
        let shape = tape.batched(Shape::Image(self.network.input));
        tape.tensor("batch.x", &shape, Element::Real)
    }

    /// Gathers a batch from the data set `set`.
    fn draw(&mut self, tape: &mut Tape<'_>, set: &str, images: usize) -> (TensorId, DataTensors, ScoreTensors) {
        let CompileOptions { batch, slots, train_images, test_images, .. } = *self.options;
        let op = gather_batch::Gather { batch, pixels: self.network.input.iter().product(), images };
        let words = (images * op.pixels).div_ceil(4);
        let mut integers = |name: &str, len: usize| tape.tensor(name, &[len], Element::Int);
        let data = DataTensors {
            images: integers(&format!("{set}.images"), words),
            labels: integers(&format!("{set}.labels"), images),
            order: integers(&format!("{set}.order"), images),
        };
        let targets = integers("batch.targets", batch);
        let prediction = integers("loss.prediction", batch);
        let correct = integers("score.correct", slots);
        let predictions = integers("score.predictions", train_images.max(test_images));
        let loss = tape.tensor("loss.loss", &[batch], Element::Real);
        let losses = tape.tensor("score.losses", &[slots], Element::Real);
        let x = self.x(tape);
        let inputs = [data.images, data.labels, data.order];
        match self.options.step.augment.filter(|_| tape.training()) {
            None => tape.pass("batch.gather", op, &inputs, &[x, targets]),
            Some(amount) => {
                let shape @ [height, width, _] = self.network.input;
                let maps = tape.tensor("batch.maps", &[batch, augment::MAP], Element::Int);
                let draw = augment::Draw { batch, size: [height, width], amount };
                tape.pass("batch.augment", draw, &[], &[maps]);
                let op = augment::Gather { batch, shape, images };
                tape.pass("batch.gather", op, &[inputs.as_slice(), &[maps]].concat(), &[x, targets]);
            }
        }
        (x, data, ScoreTensors { targets, loss, prediction, losses, correct, predictions })
    }

    // ANCHOR: forward
    /// Records the layers from first to last.
    fn forward(&mut self, tape: &mut Tape<'_>, mut x: TensorId) -> Vec<Visit> {
        let layers = &self.network.layers;
        let mut visits: Vec<Visit> = Vec::new();
        let mut producer = Activation::Identity;
        let mut dropped = None;
        let mut index = 0;
        while let Some(at) = layers.get(index) {
            let mut next = index + 1;
            let behind = layers.get(next).and_then(|next| next.layer.activation());
            let fused = behind.filter(|_| at.layer.fuses_activation());
            let activation = fused.unwrap_or(Activation::Identity);
            next += usize::from(fused.is_some());
            let dropout = self.fused_dropout(index, next).filter(|_| tape.training());
            next += usize::from(dropout.is_some());
            let y = self.site(index, activation, dropout, |layer, site| layer.forward(tape, site, x));
            let (before, was_dropped) = (producer, dropped);
            if y != x {
                (producer, dropped) = (at.layer.activation().unwrap_or(activation), dropout);
            }
            visits.push(Visit {
                index,
                activation,
                dropout,
                x,
                y,
                producer: before,
                dropped: was_dropped,
                made: producer,
            });
            (x, index) = (y, next);
        }
        visits
    }
    // ANCHOR_END: forward

    /// The dropout layer `behind` a layer, if that layer can take it over in its epilogue and the next layer in its
    /// backward pass.
    fn fused_dropout(&self, index: usize, behind: usize) -> Option<Mask> {
        let layers = &self.network.layers;
        let dropout = layers.get(behind)?;
        let mask = dropout.layer.dropout(behind, dropout.input)?;
        let next = layers[behind + 1..].iter().find(|next| !next.layer.passes_on())?;
        (layers[index].layer.fuses_dropout() && next.layer.undoes_dropout()).then_some(mask)
    }

    /// Records the score of a batch.
    fn score(&self, tape: &mut Tape<'_>, score: &ScoreTensors) {
        let CompileOptions { batch, slots, train_images, test_images, .. } = *self.options;
        let op = score::Score { batch, slots, images: train_images.max(test_images) };
        let inputs = [score.loss, score.prediction, score.targets];
        tape.pass("score", op, &inputs, &[score.losses, score.correct, score.predictions]);
    }

    /// Records the loss; returns the gradient with respect to the logits, before the activation that produced them.
    fn judge(&mut self, tape: &mut Tape<'_>, visits: &[Visit], score: &ScoreTensors) -> TensorId {
        let (batch, classes) = (self.options.batch, self.network.classes());
        let cost = self.options.step.loss.unwrap_or(self.network.loss);
        let logits = last(visits, score.targets);
        let dy = tape.tensor("loss.dx", &[batch, classes], Element::Real);
        let label = match cost {
            Cost::CrossEntropy => "loss.cross_entropy",
            Cost::Quadratic => "loss.quadratic",
        };
        // Without smoothing, evaluations can be compared with those of any other run.
        let smoothing = if tape.training() { self.options.step.label_smoothing } else { 0.0 };
        let loss = softmax::Loss { batch, classes, cost, smoothing };
        tape.pass(label, loss, &[logits, score.targets], &[dy, score.loss, score.prediction]);
        // The loss passes do not handle an activation, so one at the very end has a pass of its own.
        let made = visits.last().map_or(Activation::Identity, |visit| visit.made);
        if made == Activation::Identity || !tape.training() {
            return dy;
        }
        let dz = tape.tensor("loss.dz", &[batch, classes], Element::Real);
        let op = activation::Backward { activation: made, len: batch * classes };
        tape.pass("loss.activation", op, &[logits, dy], &[dz]);
        dz
    }

    // ANCHOR: backward
    /// Records the layers from the last to the first with weights. Returns for each the number of passes after which
    /// its gradients are computed.
    fn backward(&mut self, tape: &mut Tape<'_>, visits: &[Visit], mut dy: TensorId) -> Vec<(usize, usize)> {
        let mut ready = Vec::new();
        let first = self.parameters.first().map_or(0, |of| of.layer);
        for visit in visits.iter().rev().filter(|visit| visit.index >= first && visit.x != visit.y) {
            let Visit { index, activation, dropout, x, y, producer, dropped, .. } = *visit;
            let flow = Flow { x, y, dy, producer, dropout: dropped, wants_dx: index > first };
            let dx = self.site(index, activation, dropout, |layer, site| layer.backward(tape, site, &flow));
            ready.push((index, tape.len()));
            match dx {
                Some(dx) => dy = dx,
                None => break,
            }
        }
        ready
    }
    // ANCHOR_END: backward

    fn site<T>(
        &self,
        index: usize,
        activation: Activation,
        dropout: Option<Mask>,
        visit: impl FnOnce(&dyn crate::ops::Layer, &Site<'_>) -> T,
    ) -> T {
        let at = &self.network.layers[index];
        let first = self.parameters.partition_point(|of| of.layer < index);
        let behind = self.parameters.partition_point(|of| of.layer <= index);
        let site = Site {
            name: &at.name,
            index,
            input: at.input,
            output: at.output,
            activation,
            dropout,
            parameters: &self.weights[first..behind],
            // Empty unless training.
            gradients: self.gradients.get(first..behind).unwrap_or_default(),
        };
        visit(&*at.layer, &site)
    }
}

/// Kernels use `u32` for indices and byte counts.
fn check_sizes(plan: &Plan, options: &CompileOptions) -> Result<()> {
    const LARGEST: usize = 1 << 30;
    match plan.storages.iter().find(|storage| storage.len > LARGEST) {
        None => Ok(()),
        Some(storage) => Err(Error::Usage(format!(
            "`{}` would have {} elements in batches of {}; expected at most {LARGEST}; use smaller batches",
            storage.name, storage.len, options.batch
        ))),
    }
}
