//! The training loop: shuffle the images, replay the step, read the statistics that the device has collected, evaluate.
//!
//! The data set stays on the device, and a step is one replay of the plan; only a few numbers change from step to step.
//! Steps are submitted in runs that take about a tenth of a second, as measured during training. After each run its
//! losses, a few bytes, are read back and reported to the observer. The length of a run does not change any result.
//!
//! Between two runs of steps, the complete state of the training is a small [`State`]. A [`Checkpoint`] saves it, and
//! [`Trainer::resume`] continues from there.

mod checkpoint;
mod compile;
mod division;
mod exchange;
mod find_nan;
mod judge;
mod recover;
mod report;
mod schedule;
mod state;

pub use crate::options::{
    BatchRecipe, Interval, LengthRecipe, Moments, Optimizer, OptimizerKind, OptimizerRecipe, OptionError, OrNone,
    Recipe, RegularizationRecipe, Schedule, ScheduleKind, ScheduleRecipe, Span, StepOptions, TrainOptions,
};
pub use checkpoint::{Checkpoint, Checkpoints, Restored};
pub use division::Division;
pub use report::{EpochReport, Event, Outcome, Recovery, StepsReport};
pub use schedule::Rates;
pub use state::{Best, EpochSums, Lowest, Progress, State};

use crate::clock::Instant;
use crate::data::{DataPair, form::Form, order::Order};
use crate::error::{Error, Result};
use crate::evaluate::Evaluator;
use crate::machine::{Device, Machine, Section};
use crate::memory;
use crate::network::{Network, ScoreTensors, Weights};
use crate::ops::Step;
use crate::profile::Profile;
use crate::ranks::{Alone, Collective};
use std::ops::{ControlFlow, Range};
use std::time::Duration;

/// Target duration of a run of steps: long enough to hide the cost of a submit, short enough to show progress and to
/// stay far below the two seconds after which some systems reset a GPU.
const RUN_TARGET: Duration = Duration::from_millis(100);

/// Receives the events of a run, and may end it.
type Observer<'o> = dyn FnMut(Event<'_>) -> Result<ControlFlow<()>> + 'o;

/// A network being trained on a device.
pub struct Trainer<'a> {
    device: Device,
    data: &'a DataPair,
    ranks: &'a dyn Collective,
    division: Division,
    /// Whether ranks share the statistics of a batch.
    syncs: bool,
    /// Whether a rank has another device than rank 0.
    devices_differ: bool,
    machine: Machine,
    scores: ScoreTensors,
    evaluator: Evaluator,
    order: Order,
    rates: Rates,
    progress: Progress,
    /// The last checkpoint: network, options, and the state to return to.
    saved: Checkpoint,
    saved_at: Instant,
    /// Number of steps that the next run submits.
    run_length: usize,
    /// Most steps that a run may submit.
    most_steps: usize,
    /// The last step that was reported to the observer.
    heard: usize,
    /// How often the device was reopened.
    recoveries: usize,
}

impl<'a> Trainer<'a> {
    /// Puts the data on the device and compiles the plan. Starts from `initial`, or from weights drawn with the seed.
    pub fn new(
        device: &Device,
        network: &Network,
        data: &'a DataPair,
        options: TrainOptions,
        initial: Option<&Weights>,
    ) -> Result<Trainer<'a>> {
        Trainer::new_on(&Alone, device, network, data, options, initial)
    }

    /// Like [`Trainer::new`], as one of several ranks, all of which must call this. The weights are those of rank 0.
    ///
    /// # Errors
    ///
    /// [`Error::Ranks`] if the network, the data or the options are not the same on every rank.
    pub fn new_on(
        ranks: &'a dyn Collective,
        device: &Device,
        network: &Network,
        data: &'a DataPair,
        options: TrainOptions,
        initial: Option<&Weights>,
    ) -> Result<Trainer<'a>> {
        memory::check_room(network.weight_bytes(), "the initial weights")?;
        let mut weights = initial.cloned().unwrap_or_else(|| network.initialize(options.seed));
        ranks.check_same("network", &network.to_toml(), "give the same network everywhere")?;
        for values in &mut weights.values {
            ranks.broadcast(values)?;
        }
        let start = Checkpoint {
            program: env!("CARGO_PKG_VERSION").to_string(),
            network: network.clone(),
            options,
            data: data.checksum(),
            device: device.identity(),
            choices: device.gpu().map(|_| device.choices().clone()),
            ranks: ranks.ranks(),
            state: State::new(weights),
        };
        Trainer::from(ranks, device, start, data)
    }

    /// Resumes from a checkpoint. The result is bit-identical to that of an uninterrupted run if the device and its
    /// kernels are those of the checkpoint. Fails if the data differ. [`TrainOptions::epochs`] and `max_steps` of the
    /// checkpoint may have been raised, but not `epochs` if the schedule depends on it ([`Schedule::has_an_end`]).
    pub fn resume(device: &Device, checkpoint: Checkpoint, data: &'a DataPair) -> Result<Trainer<'a>> {
        Trainer::resume_on(&Alone, device, checkpoint, data)
    }

    /// Like [`Trainer::resume`], as one of several ranks, all of which must call this with the same checkpoint. The bits
    /// are those of an uninterrupted run if the number of ranks is that of the checkpoint, too.
    ///
    /// # Errors
    ///
    /// Those of [`Trainer::new_on`].
    pub fn resume_on(
        ranks: &'a dyn Collective,
        device: &Device,
        checkpoint: Checkpoint,
        data: &'a DataPair,
    ) -> Result<Trainer<'a>> {
        let found = data.checksum();
        let right = if found == checkpoint.data { Ok(()) } else { Err(()) };
        ranks.together(right.map_err(|()| {
            Error::Checkpoint(format!(
                "{}: not the data that the run was trained on: expected the checksum {}, got {found}; \
                 give the location of the original data",
                data.source, checkpoint.data
            ))
        }))?;
        let (device_now, choices) = (device.identity(), device.gpu().map(|_| device.choices().clone()));
        Trainer::from(ranks, device, Checkpoint { device: device_now, choices, ..checkpoint }, data)
    }

    fn from(
        ranks: &'a dyn Collective,
        device: &Device,
        mut saved: Checkpoint,
        data: &'a DataPair,
    ) -> Result<Trainer<'a>> {
        saved.ranks = ranks.ranks();
        let devices_differ = agree(ranks, device, &saved)?;
        if saved.network.form.is_none() {
            saved.network.form = Some(Form::measure(&data.train, u8::MAX, false));
        }
        let Checkpoint { network, options, state, .. } = &saved;
        let (machine, scores) = put(device, &saved, data)?;
        let division = options.divide(network, data, ranks.ranks());
        let len = data.train.len() as u32;
        let mut trainer = Trainer {
            device: device.clone(),
            data,
            ranks,
            division,
            syncs: ranks.ranks() > 1 && options.step.sync_batch_norm,
            devices_differ,
            evaluator: Evaluator::new(&data.test, network.classes(), division.images, scores),
            scores,
            order: if options.shuffle { Order::shuffled(len, options.seed) } else { Order::sequential(len) },
            rates: options.rates(data)?,
            progress: state.progress.clone(),
            run_length: 1,
            most_steps: machine.most_steps(),
            heard: state.progress.step,
            recoveries: 0,
            machine,
            saved,
            saved_at: Instant::now(),
        };
        trainer.go_back()?;
        Ok(trainer)
    }

    /// Restores the state of the last checkpoint.
    fn go_back(&mut self) -> Result<()> {
        let State { weights, optimizer_states, progress } = &self.saved.state;
        let expected = progress.epochs * self.epoch_steps() + progress.epoch.steps;
        if progress.step != expected || progress.epoch.steps > self.epoch_steps() {
            return Err(Error::Checkpoint(format!(
                "a checkpoint after {} epochs and {} steps of the next: expected step {expected}, got {}",
                progress.epochs, progress.epoch.steps, progress.step
            )));
        }
        self.machine.write_weights(weights);
        self.machine.write_optimizer_states(weights, optimizer_states)?;
        self.progress = progress.clone();
        Ok(())
    }

    /// Trains to the end, or until the observer ends it; a further call continues. If the device is lost meanwhile, it
    /// is reopened, three times at most.
    pub async fn run(&mut self, observer: &mut Observer<'_>) -> Result<Outcome> {
        let mut outcome = Outcome { epochs: Vec::new(), evaluation: None, interrupted: false };
        loop {
            let flow = match self.go_on(observer, &mut outcome).await {
                Err(Error::DeviceLost(problem)) if self.ranks.is_alone() => self.recover(problem, observer).await?,
                Err(Error::NotFinite(problem)) if self.options().find_nan => {
                    let origin = self.find_not_finite().await?;
                    return Err(Error::NotFinite(format!("{problem}\n{origin}")));
                }
                ended => return ended.map(|()| outcome),
            };
            if flow.is_break() {
                outcome.interrupted = true;
                return Ok(outcome);
            }
        }
    }

    async fn go_on(&mut self, observer: &mut Observer<'_>, outcome: &mut Outcome) -> Result<()> {
        while !self.is_finished() {
            if self.epoch(observer).await?.is_break() {
                outcome.interrupted = true;
                return Ok(());
            }
            let (report, evaluation) = self.close_epoch().await?;
            let checkpoint = self.checkpoint_of_all().await?;
            self.check_weights(&checkpoint.state.weights)?;
            let heard = self.agree(observer(Event::Epoch(&report, checkpoint.state.model()))?)?;
            let saved = self.save(checkpoint, observer)?;
            outcome.epochs.push(report);
            outcome.evaluation = Some(evaluation);
            if heard.is_break() || saved.is_break() {
                outcome.interrupted = true;
                return Ok(());
            }
        }
        if outcome.evaluation.is_none() {
            outcome.evaluation = Some(self.evaluate().await?);
        }
        Ok(())
    }

    /// The current weights; [`State::model`] holds the weights that are evaluated.
    pub async fn weights(&mut self) -> Result<Weights> {
        self.machine.read_weights().await
    }

    /// A checkpoint of the current state, between two runs of steps. Fails if a weight is not finite.
    pub async fn checkpoint(&mut self) -> Result<Checkpoint> {
        let state = self.state().await?;
        match find_nan::not_finite(&state) {
            None => Ok(self.saved.with_state(state)),
            Some(value) => Err(self.not_finite("a weight after step", self.progress.step, f64::from(value))),
        }
    }

    /// A checkpoint that no rank makes unless all can.
    async fn checkpoint_of_all(&mut self) -> Result<Checkpoint> {
        let own = self.checkpoint().await;
        self.ranks.together(own)
    }

    async fn state(&mut self) -> Result<State> {
        let weights = self.machine.read_weights().await?;
        let moves = self.progress.step > 0;
        let optimizer_states = if moves { self.machine.read_optimizer_states().await? } else { Vec::new() };
        Ok(State { weights, optimizer_states, progress: self.progress.clone() })
    }

    /// Measures the cost of each dispatch of a training step, on the first batch of the data order. Weights and
    /// optimizer state are restored afterwards, so training is not affected.
    pub async fn profile(&mut self) -> Result<Profile> {
        let batch = self.batch();
        let TrainOptions { seed, learning_rate, .. } = *self.options();
        let step = Step::epoch(batch, batch, self.progress.step, seed, learning_rate)[0];
        self.machine.profile(Section::Train, step).await
    }

    /// The network. Its `form` is set; if it was missing, it was measured from the training images.
    pub fn network(&self) -> &Network {
        &self.saved.network
    }

    /// The training options.
    pub fn options(&self) -> &TrainOptions {
        &self.saved.options
    }

    /// How far the run has progressed.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The device of [`Trainer::new`], or the one that it was reopened as.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Images per step.
    fn batch(&self) -> usize {
        self.options().batch_size.min(self.data.train.len())
    }

    /// Steps per full epoch.
    fn epoch_steps(&self) -> usize {
        self.data.train.len().div_ceil(self.batch())
    }

    /// Runs the rest of the epoch, up to `max_steps`.
    async fn epoch(&mut self, observer: &mut Observer<'_>) -> Result<ControlFlow<()>> {
        let (images, steps) = (self.data.train.len() as u64, self.epoch_steps() as u64);
        memory::check_room(8 * images + 2 * size_of::<Step>() as u64 * steps, "the order of an epoch")?;
        if let Some(train) = self.machine.compiled.tensors.train {
            self.machine.write_int(train.order, &self.order.epoch(self.progress.epochs));
        }
        let steps = self.steps();
        while self.progress.epoch.steps < steps.len() {
            let losses = self.run_steps(&steps).await?;
            if self.progress.step > self.heard {
                self.heard = self.progress.step;
                let flow = observer(Event::Steps(self.steps_report(&losses, steps.len())))?;
                if self.agree(flow)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            if self.progress.epoch.steps < steps.len() && self.checkpoint_is_due()? {
                let checkpoint = self.checkpoint_of_all().await?;
                if self.save(checkpoint, observer)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn steps_report<'r>(&self, losses: &'r [f64], steps: usize) -> StepsReport<'r> {
        let Progress { epochs, step, epoch: sums, .. } = &self.progress;
        StepsReport {
            epoch: epochs + 1,
            first_step: step + 1 - losses.len(),
            losses,
            done: sums.steps,
            steps,
            epoch_loss: sums.mean_loss(),
            images_per_second: sums.images_per_second(),
        }
    }

    /// All steps of this epoch, including those that are done.
    fn steps(&self) -> Vec<Step> {
        let before = self.progress.step - self.progress.epoch.steps;
        let TrainOptions { seed, learning_rate, max_steps, .. } = *self.options();
        let mut steps = Step::epoch(self.data.train.len(), self.batch(), before, seed, learning_rate);
        for step in &mut steps {
            let number = step.step as usize;
            step.learning_rate = self.rates.at(number);
            [step.first_correction, step.second_correction] = self.options().step.optimizer.corrections(number);
        }
        steps.truncate(max_steps.unwrap_or(usize::MAX).saturating_sub(before));
        steps
    }

    /// Runs the next steps in one submit; returns the mean loss of each.
    async fn run_steps(&mut self, steps: &[Step]) -> Result<Vec<f64>> {
        let start = Instant::now();
        let done = self.progress.epoch.steps;
        let to_checkpoint = self.options().checkpoint_every.map_or(usize::MAX, |every| every.left(self.progress.step));
        // Measured times differ between ranks, but their runs must not.
        let most = self.ranks.of_first(self.run_length)?.min(to_checkpoint).min(self.steps_to_news());
        let run = done..(done + most).min(steps.len());
        let steps = &steps[run.clone()];
        if self.ranks.is_alone() {
            let parts: Vec<Vec<Step>> = steps.iter().map(|step| self.division.parts_of(step, 0, false)).collect();
            self.machine.run_parts(&parts)?;
        } else {
            self.run_exchanging(steps).await?;
        }
        let (losses, correct) = self.read_scores(run).await?;
        let took = start.elapsed();
        self.adapt(took);
        let means: Vec<f64> =
            losses.iter().zip(steps).map(|(loss, step)| f64::from(*loss) / f64::from(step.count)).collect();
        if let Some(index) = means.iter().position(|loss| !loss.is_finite()) {
            return Err(self.not_finite("the loss of step", self.progress.step + 1 + index, means[index]));
        }
        let images = steps.iter().map(|step| step.count as usize).sum();
        self.progress.step += steps.len();
        self.progress.epoch.add(images, &losses, &correct, took.as_secs_f64());
        Ok(means)
    }

    /// Losses and correct predictions of steps of this epoch, added up over their parts and over all ranks.
    async fn read_scores(&mut self, steps: Range<usize>) -> Result<(Vec<f32>, Vec<u32>)> {
        let parts = self.division.parts;
        let slots = steps.start * parts..steps.end * parts;
        let losses = self.machine.read(self.scores.losses, slots.clone()).await?;
        let correct = self.machine.read_int(self.scores.correct, slots).await?;
        let mut losses: Vec<f32> = losses.chunks(parts).map(|parts| parts.iter().sum()).collect();
        let mut correct: Vec<u32> = correct.chunks(parts).map(|parts| parts.iter().sum()).collect();
        self.sum_scores(&mut losses, &mut correct)?;
        Ok((losses, correct))
    }

    /// Ends the run of every rank if that of one ends.
    pub(crate) fn agree(&self, own: ControlFlow<()>) -> Result<ControlFlow<()>> {
        Ok(if self.ranks.any(own.is_break())? { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Doubles or halves the length of the next run, to stay near the target duration.
    fn adapt(&mut self, took: Duration) {
        if self.options().every_step {
            self.run_length = 1;
        } else if took < RUN_TARGET / 2 {
            self.run_length = (self.run_length * 2).min(self.most_steps);
        } else if took > RUN_TARGET * 2 {
            self.run_length = (self.run_length / 2).max(1);
        }
    }

    /// Steps until the first one that has not been reported to the observer.
    fn steps_to_news(&self) -> usize {
        match self.heard.saturating_sub(self.progress.step) {
            0 => usize::MAX,
            again => again,
        }
    }

    fn checkpoint_is_due(&self) -> Result<bool> {
        let Some(every) = self.options().checkpoint_every else { return Ok(false) };
        Ok(self.ranks.of_first(usize::from(every.is_due(self.progress.step, self.saved_at.elapsed())))? == 1)
    }

    /// Makes this the checkpoint that the run can return to.
    fn save(&mut self, checkpoint: Checkpoint, observer: &mut Observer<'_>) -> Result<ControlFlow<()>> {
        self.saved = checkpoint;
        let flow = observer(Event::Checkpoint(&self.saved))?;
        self.saved_at = Instant::now();
        self.agree(flow)
    }

    fn not_finite(&self, what: &str, step: usize, value: f64) -> Error {
        let rate = self.options().learning_rate;
        Error::NotFinite(format!(
            "{what} {step} is {value}, at learning rate {rate}; try a smaller learning rate, for example a tenth of it"
        ))
    }
}

/// Checks that all ranks train the same network, and tells whether a rank has another device than rank 0, or other
/// kernels.
fn agree(ranks: &dyn Collective, device: &Device, what: &Checkpoint) -> Result<bool> {
    if ranks.is_alone() {
        return Ok(false);
    }
    let json = |value: Result<String, serde_json::Error>| value.unwrap_or_default();
    ranks.check_same("version of shadegrad", env!("CARGO_PKG_VERSION"), "install the same version everywhere")?;
    ranks.check_same("data set", &what.data, "the checksums differ; copy the same files to every machine")?;
    ranks.check_same(
        "set of training options",
        &json(serde_json::to_string_pretty(&what.options)),
        "give the same everywhere",
    )?;
    if what.options.find_nan {
        let problem = OptionError::new("find_nan", "needs the whole batch on one device; train without other ranks");
        return Err(Error::Ranks(Box::new(Error::Option(problem))));
    }
    let choices = device.gpu().map(|_| json(serde_json::to_string(device.choices()))).unwrap_or_default();
    let own = format!("{}\n{choices}", device.identity());
    let all = ranks.gather(own.as_bytes())?;
    Ok(all.iter().any(|other| *other != all[0]))
}

/// Creates a machine with the data on it.
fn put(device: &Device, what: &Checkpoint, data: &DataPair) -> Result<(Machine, ScoreTensors)> {
    let mut machine = Machine::new(device, what.options.compile_for(&what.network, data, what.ranks)?)?;
    let tensors = &machine.compiled.tensors;
    let (Some(train), Some(test), Some(scores)) = (tensors.train, tensors.test, tensors.scores) else {
        return Err(Error::Usage("the training and validation sets must not be empty".into()));
    };
    machine.load_set(&train, &data.train);
    machine.load_set(&test, &data.test);
    Ok((machine, scores))
}
