//! The training loop: draw an order, replay the step, look at what the device has counted, evaluate.
//!
//! The data set lies on the device and a step is one replay of the plan; only a few numbers change from step to step.
//! Steps are submitted in runs that take about a tenth of a second, measured while running; after each run its losses
//! are read back, a few bytes, and the observer hears of them.

use crate::data::{DataPair, order::Order};
use crate::error::{Error, Result};
use crate::evaluate::{Evaluation, Evaluator};
use crate::machine::{Device, Machine, Section};
use crate::network::{CompileOptions, Compiled, Network, ScoreTensors, Weights};
use crate::ops::Step;
use crate::ops::softmax::Cost;
use crate::profile::Profile;
use serde::Serialize;
use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

/// What a run of steps should take: long enough to hide the submit, short enough to show progress and to stay far below
/// the two seconds after which some systems reset a GPU.
const RUN_TARGET: Duration = Duration::from_millis(100);

/// How to train.
#[derive(Clone, Debug, Serialize)]
pub struct TrainOptions {
    /// Passes over the training set.
    pub epochs: usize,
    /// Images a step.
    pub batch_size: usize,
    /// eta of equations 4 and 5.
    pub learning_rate: f32,
    /// mu; 0 is plain gradient descent.
    pub momentum: f32,
    /// Whether to look ahead.
    pub nesterov: bool,
    /// Added to the gradient, times w.
    pub weight_decay: f32,
    /// What is minimised; the network's own if not given.
    pub loss: Option<Cost>,
    /// Of the initial weights, the data order and dropout.
    pub seed: u64,
    /// Whether each epoch draws the images in a new order.
    pub shuffle: bool,
    /// Ends the run after so many steps.
    pub max_steps: Option<usize>,
    /// Reads every loss back at once, step by step.
    pub every_step: bool,
}

impl Default for TrainOptions {
    fn default() -> Self {
        TrainOptions {
            epochs: 5,
            batch_size: 100,
            learning_rate: 0.03,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 0.0,
            loss: None,
            seed: 1,
            shuffle: true,
            max_steps: None,
            every_step: false,
        }
    }
}

impl TrainOptions {
    /// Every value inside its range; the message names the option.
    pub fn validate(&self) -> Result<()> {
        let expect = |fine: bool, what: &str, got: &dyn std::fmt::Display| {
            if fine { Ok(()) } else { Err(Error::Usage(format!("{what}, got {got}"))) }
        };
        let rate = f64::from(self.learning_rate);
        expect(self.epochs >= 1, "--epochs must be at least 1", &self.epochs)?;
        expect((1..=65_536).contains(&self.batch_size), "--batch-size must be from 1 to 65536", &self.batch_size)?;
        expect(rate > 0.0 && rate <= 1000.0, "--learning-rate must be above 0 and at most 1000", &rate)?;
        expect((0.0..1.0).contains(&self.momentum), "--momentum must be at least 0 and below 1", &self.momentum)?;
        let decay = self.weight_decay;
        expect((0.0..=1.0).contains(&decay), "--weight-decay must be from 0 to 1", &decay)?;
        expect(!self.nesterov || self.momentum > 0.0, "--nesterov needs --momentum above 0", &self.momentum)?;
        expect(self.max_steps != Some(0), "--max-steps must be at least 1", &0)
    }
}

impl TrainOptions {
    /// Images a step: no more than there are.
    fn batch(&self, data: &DataPair) -> usize {
        self.batch_size.min(data.train.len().max(data.test.len()))
    }

    /// The network as [`Trainer::new`] will run it: what there is to tune.
    pub fn compile(&self, network: &Network, data: &DataPair) -> Result<Compiled> {
        self.validate()?;
        network.check_fit(&data.train)?;
        network.check_fit(&data.test)?;
        let images = data.train.len();
        let batch = self.batch(data);
        let slots = images.div_ceil(batch).max(data.test.len().div_ceil(batch));
        network.compile(&CompileOptions {
            batch,
            train_images: images,
            test_images: data.test.len(),
            momentum: self.momentum,
            nesterov: self.nesterov,
            weight_decay: self.weight_decay,
            cost: self.loss,
            slots,
            ..CompileOptions::default()
        })
    }
}

/// What the observer hears.
#[derive(Debug)]
pub enum Event<'a> {
    /// Some steps are done.
    Steps(StepsReport<'a>),
    /// An epoch is done and evaluated; the weights are those of its end.
    Epoch(&'a EpochReport, &'a Weights),
}

/// A run of steps.
#[derive(Debug)]
pub struct StepsReport<'a> {
    /// From 1.
    pub epoch: usize,
    /// Number of the first of these steps over the whole run, from 1.
    pub first_step: usize,
    /// Mean loss of each.
    pub losses: &'a [f64],
    /// Steps of this epoch that are done.
    pub done: usize,
    /// Steps of this epoch.
    pub steps: usize,
    /// Mean loss of this epoch so far.
    pub epoch_loss: f64,
    /// Images a second, in this epoch so far.
    pub images_per_second: f64,
}

/// An epoch.
#[derive(Clone, Debug, Serialize)]
pub struct EpochReport {
    /// From 1.
    pub epoch: usize,
    /// Steps done over the whole run.
    pub step: usize,
    /// Mean over the epoch's images, each seen with the weights of its step and with dropout.
    pub train_loss: f64,
    /// Share of the epoch's images, seen likewise.
    pub train_accuracy: f64,
    /// Mean over the validation set.
    pub val_loss: f64,
    /// Share of the validation set.
    pub val_accuracy: f64,
    /// Seconds of training, without the evaluation.
    pub seconds: f64,
    /// Images trained on a second.
    pub images_per_second: f64,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Epochs done and evaluated.
    pub epochs: Vec<EpochReport>,
    /// The last evaluation, if there was one.
    pub evaluation: Option<Evaluation>,
    /// Whether the observer ended it.
    pub interrupted: bool,
}

/// A network being trained on a device.
pub struct Trainer {
    machine: Machine,
    scores: ScoreTensors,
    evaluator: Evaluator,
    options: TrainOptions,
    order: Order,
    images: usize,
    /// Steps done.
    step: usize,
    /// Steps that the next run submits.
    run_length: usize,
}

impl Trainer {
    /// Puts the data on the device and compiles the plan. Starts from `initial`, or from weights drawn by the seed.
    pub fn new(
        device: &Device,
        network: &Network,
        data: &DataPair,
        options: TrainOptions,
        initial: Option<&Weights>,
    ) -> Result<Trainer> {
        let compiled = options.compile(network, data)?;
        let images = data.train.len();
        let batch = options.batch(data);
        let mut machine = Machine::new(device, compiled)?;
        let drawn;
        let weights = match initial {
            Some(weights) => weights,
            None => {
                drawn = network.initialize(options.seed);
                &drawn
            }
        };
        machine.write_weights(weights);
        let Compiled { tensors, .. } = &machine.compiled;
        let (Some(train), Some(test), Some(scores)) = (tensors.train, tensors.test, tensors.scores) else {
            return Err(Error::Usage("the training and validation sets must not be empty".into()));
        };
        machine.load_set(&train, &data.train);
        machine.load_set(&test, &data.test);
        let evaluator = Evaluator::new(&data.test, network.classes(), batch, scores);
        let len = images as u32;
        let order = if options.shuffle { Order::shuffled(len, options.seed) } else { Order::sequential(len) };
        Ok(Trainer { machine, scores, evaluator, options, order, images, step: 0, run_length: 1 })
    }

    /// Trains to the end, or until the observer breaks.
    pub async fn run(&mut self, observer: &mut dyn FnMut(Event<'_>) -> Result<ControlFlow<()>>) -> Result<Outcome> {
        let mut outcome = Outcome { epochs: Vec::new(), evaluation: None, interrupted: false };
        for epoch in 1..=self.options.epochs {
            let Some(trained) = self.epoch(epoch, observer).await? else {
                outcome.interrupted = true;
                break;
            };
            let evaluation = self.evaluator.run(&mut self.machine).await?;
            if !evaluation.loss.is_finite() {
                return Err(self.not_finite("the validation loss after step", self.step, evaluation.loss));
            }
            let report = EpochReport {
                epoch,
                step: self.step,
                train_loss: trained.loss,
                train_accuracy: trained.accuracy,
                val_loss: evaluation.loss,
                val_accuracy: evaluation.accuracy(),
                seconds: trained.seconds,
                images_per_second: trained.images as f64 / trained.seconds,
            };
            let weights = self.weights().await?;
            let flow = observer(Event::Epoch(&report, &weights))?;
            outcome.epochs.push(report);
            outcome.evaluation = Some(evaluation);
            if flow.is_break() {
                outcome.interrupted = true;
                break;
            }
            if self.options.max_steps.is_some_and(|most| self.step >= most) {
                break;
            }
        }
        Ok(outcome)
    }

    /// The weights as they are now.
    pub async fn weights(&mut self) -> Result<Weights> {
        self.machine.read_weights().await
    }

    /// What each dispatch of a training step costs, on the batch that the data order begins with. Weights and velocity
    /// are as before when it returns, so training goes on as if nothing had been measured.
    pub async fn profile(&mut self) -> Result<Profile> {
        let batch = self.options.batch_size.min(self.images);
        let step = Step::epoch(batch, batch, self.step, self.options.seed, self.options.learning_rate)[0];
        self.machine.profile(Section::Train, step).await
    }

    /// One epoch, or what `max_steps` leaves of it. `None`: the observer has ended it.
    async fn epoch(
        &mut self,
        epoch: usize,
        observer: &mut dyn FnMut(Event<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<Option<Trained>> {
        if let Some(train) = self.machine.compiled.tensors.train {
            self.machine.write_int(train.order, &self.order.epoch(epoch - 1));
        }
        let batch = self.options.batch_size.min(self.images);
        let mut steps = Step::epoch(self.images, batch, self.step, self.options.seed, self.options.learning_rate);
        if let Some(most) = self.options.max_steps {
            steps.truncate(most.saturating_sub(self.step));
        }
        let start = Instant::now();
        let mut total = Trained::default();
        let mut done = 0;
        while done < steps.len() {
            let run = done..(done + self.run_length).min(steps.len());
            let before = Instant::now();
            self.machine.run(Section::Train, &steps[run.clone()])?;
            let (losses, correct) = self.read_scores(run.clone()).await?;
            self.adapt(before.elapsed());
            let counts = steps[run.clone()].iter().map(|step| f64::from(step.count));
            let means: Vec<f64> = losses.iter().zip(counts).map(|(loss, count)| f64::from(*loss) / count).collect();
            let first_step = self.step + 1;
            self.check_finite(&means, first_step)?;
            self.step += run.len();
            total.images += steps[run.clone()].iter().map(|step| step.count as usize).sum::<usize>();
            total.loss_sum += losses.iter().map(|loss| f64::from(*loss)).sum::<f64>();
            total.correct += correct.iter().map(|count| u64::from(*count)).sum::<u64>();
            done = run.end;
            let report = StepsReport {
                epoch,
                first_step,
                losses: &means,
                done,
                steps: steps.len(),
                epoch_loss: total.loss_sum / total.images as f64,
                images_per_second: total.images as f64 / start.elapsed().as_secs_f64(),
            };
            if observer(Event::Steps(report))?.is_break() {
                return Ok(None);
            }
        }
        Ok(Some(total.over(start.elapsed())))
    }

    async fn read_scores(&mut self, slots: Range<usize>) -> Result<(Vec<f32>, Vec<u32>)> {
        let losses = self.machine.read(self.scores.losses, slots.clone()).await?;
        let correct = self.machine.read_int(self.scores.correct, slots).await?;
        Ok((losses, correct))
    }

    /// Doubles or halves the next run, to stay near the target.
    fn adapt(&mut self, took: Duration) {
        if self.options.every_step {
            self.run_length = 1;
        } else if took < RUN_TARGET / 2 {
            self.run_length = (self.run_length * 2).min(self.machine.most_steps());
        } else if took > RUN_TARGET * 2 {
            self.run_length = (self.run_length / 2).max(1);
        }
    }

    fn check_finite(&self, losses: &[f64], first_step: usize) -> Result<()> {
        match losses.iter().position(|loss| !loss.is_finite()) {
            None => Ok(()),
            Some(index) => Err(self.not_finite("the loss of step", first_step + index, losses[index])),
        }
    }

    fn not_finite(&self, what: &str, step: usize, loss: f64) -> Error {
        let rate = self.options.learning_rate;
        Error::NotFinite(format!(
            "{what} {step} is {loss}, at learning rate {rate}; try a smaller --learning-rate, a tenth say"
        ))
    }
}

#[derive(Default)]
struct Trained {
    images: usize,
    loss_sum: f64,
    correct: u64,
    loss: f64,
    accuracy: f64,
    seconds: f64,
}

impl Trained {
    fn over(mut self, time: Duration) -> Trained {
        self.loss = self.loss_sum / self.images as f64;
        self.accuracy = self.correct as f64 / self.images as f64;
        self.seconds = time.as_secs_f64();
        self
    }
}
