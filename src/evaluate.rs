//! Evaluation of trained weights: loss, accuracy and confusion matrix; and predictions for images without labels.

pub mod confusion;
mod predict;

#[cfg(not(target_arch = "wasm32"))]
pub use crate::blocking::{evaluate_blocking, logits_blocking};
pub use predict::Predictor;

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::machine::{Device, Machine, Section};
use crate::network::{CompileOptions, Network, ScoreTensors, Weights};
use crate::ops::Step;
use crate::ranks::{Alone, Collective};

/// Loss and confusion matrix of a network on a labelled set.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Mean loss over the images.
    pub loss: f64,
    /// Numbers of images: `confusion[label][prediction]`.
    pub confusion: Vec<Vec<u64>>,
}

impl Evaluation {
    /// Fraction of images classified correctly.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.confusion.len()).map(|class| self.confusion[class][class]).sum();
        right as f64 / self.images() as f64
    }

    /// Number of images that were evaluated.
    pub fn images(&self) -> u64 {
        self.confusion.iter().flatten().sum()
    }

    /// The fraction of images predicted as `class` that belong to it; `None` if there are none.
    pub fn precision(&self, class: usize) -> Option<f64> {
        let predicted: u64 = self.confusion.iter().map(|row| row[class]).sum();
        (predicted > 0).then(|| self.confusion[class][class] as f64 / predicted as f64)
    }

    /// The fraction of images of `class` that were predicted as such; `None` if there are none.
    pub fn recall(&self, class: usize) -> Option<f64> {
        let there: u64 = self.confusion[class].iter().sum();
        (there > 0).then(|| self.confusion[class][class] as f64 / there as f64)
    }
}

/// Runs the evaluation section of a machine over its test set.
pub(crate) struct Evaluator {
    labels: Vec<u8>,
    classes: usize,
    batch: usize,
    scores: ScoreTensors,
}

/// Evaluation steps per submit: less than a quarter of a second on a slow driver.
const STEPS_A_SUBMIT: usize = 8;

impl Evaluator {
    pub(crate) fn new(set: &Dataset, classes: usize, batch: usize, scores: ScoreTensors) -> Evaluator {
        Evaluator { labels: set.labels().to_vec(), classes, batch, scores }
    }

    /// Evaluates with at most `most` steps per submit. Each rank takes its share of the steps, and has the result for all
    /// images.
    pub(crate) async fn run(&self, machine: &mut Machine, most: usize, ranks: &dyn Collective) -> Result<Evaluation> {
        let images = self.labels.len();
        let steps = Step::epoch(images, self.batch, 0, 0, 0.0);
        let share = |rank: usize| rank * steps.len() / ranks.ranks();
        let own = share(ranks.rank())..share(ranks.rank() + 1);
        for chunk in steps[own.clone()].chunks(most.min(STEPS_A_SUBMIT)) {
            machine.run(Section::Evaluate, chunk)?;
            machine.finish().await?;
        }
        let of_images = own.start * self.batch..(own.end * self.batch).min(images);
        let losses = machine.read(self.scores.losses, own).await?;
        let predictions = machine.read_int(self.scores.predictions, of_images).await?;
        let losses: Vec<f32> = all(ranks, losses)?;
        let predictions: Vec<u32> = all(ranks, predictions)?;
        let mut confusion = vec![vec![0; self.classes]; self.classes];
        for (label, prediction) in self.labels.iter().zip(&predictions) {
            let cell = confusion[usize::from(*label)].get_mut(*prediction as usize);
            *cell.ok_or_else(|| Error::Device(format!("the device predicted class {prediction}")))? += 1;
        }
        Ok(Evaluation { loss: losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / images as f64, confusion })
    }
}

/// The values of all ranks, one after another.
fn all<T: bytemuck::Pod>(ranks: &dyn Collective, own: Vec<T>) -> Result<Vec<T>> {
    if ranks.is_alone() {
        return Ok(own);
    }
    let parts = ranks.gather(bytemuck::cast_slice(&own))?;
    Ok(parts.iter().flat_map(|bytes| bytemuck::pod_collect_to_vec::<u8, T>(bytes)).collect())
}

/// Loss and confusion matrix of these weights on a set. `evaluate_blocking` is the blocking version.
///
/// # Errors
///
/// [`Error::NotFinite`] if values overflow with these weights, so that there is no valid result.
pub async fn evaluate(device: &Device, network: &Network, weights: &Weights, set: &Dataset) -> Result<Evaluation> {
    let (mut machine, evaluator) = prepare(device, network, weights, set)?;
    let evaluation = evaluator.run(&mut machine, STEPS_A_SUBMIT, &Alone).await?;
    if evaluation.loss.is_finite() {
        return Ok(evaluation);
    }
    let steps = Step::epoch(set.len(), evaluator.batch, 0, 0, 0.0);
    let what = format!("the loss of `{}` on the {} set is {}", network.name, set.name(), evaluation.loss);
    Err(overflow(&mut machine, Section::Evaluate, &steps, what).await)
}

/// The error for a result that is not finite, with the pass that produced the first such number.
async fn overflow(machine: &mut Machine, section: Section, steps: &[Step], what: String) -> Error {
    let mut origin = String::new();
    for step in steps {
        match machine.first_not_finite(section, *step).await {
            Ok(None) => {}
            Ok(Some(found)) => {
                origin = format!("\n{found}");
                break;
            }
            Err(error) => return error,
        }
    }
    Error::NotFinite(format!("{what}: its weights are so large that sums of them overflow{origin}"))
}

/// The outputs of the last layer for each image, `[images, classes]`.
///
/// # Errors
///
/// [`Error::NotFinite`] if one of them is not finite.
pub async fn logits(device: &Device, network: &Network, weights: &Weights, set: &Dataset) -> Result<Vec<f32>> {
    let (mut machine, evaluator) = prepare(device, network, weights, set)?;
    let logits = machine.compiled.tensors.logits;
    let mut all = Vec::new();
    for step in Step::epoch(set.len(), evaluator.batch, 0, 0, 0.0) {
        machine.run(Section::Evaluate, &[step])?;
        let read = machine.read(logits, 0..step.count as usize * evaluator.classes).await?;
        if let Some(logit) = read.iter().find(|logit| !logit.is_finite()) {
            let what = format!("a logit of `{}` on the {} set is {logit}", network.name, set.name());
            return Err(overflow(&mut machine, Section::Evaluate, &[step], what).await);
        }
        all.extend(read);
    }
    Ok(all)
}

/// A machine that holds the weights and the set, with an evaluator for it.
fn prepare(device: &Device, network: &Network, weights: &Weights, set: &Dataset) -> Result<(Machine, Evaluator)> {
    network.check_fit(set)?;
    let batch = 100.min(set.len());
    let compiled = network.compile(&CompileOptions {
        batch,
        test_images: set.len(),
        slots: set.len().div_ceil(batch),
        ..CompileOptions::default()
    })?;
    let mut machine = Machine::new(device, compiled)?;
    machine.write_weights(weights);
    let (Some(test), Some(scores)) = (machine.compiled.tensors.test, machine.compiled.tensors.scores) else {
        return Err(Error::Usage("the data set is empty".into()));
    };
    machine.load_set(&test, set);
    Ok((machine, Evaluator::new(set, network.classes(), batch, scores)))
}
