//! Where a run stands between two steps: what a checkpoint has to hold, and no more.

use crate::network::{OptimizerState, Weights};
use serde::{Deserialize, Serialize};

/// Where a run stands between two steps. With its network, options and data it decides everything that follows: the order
/// of the images is drawn by (seed, epoch) and dropout by (seed, step), so neither has a state of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// What has been learned.
    pub weights: Weights,
    /// What is kept beside each weight; nothing before the first step ([`OptimizerState`] says where each of them starts).
    pub optimizer_states: Vec<(OptimizerState, Weights)>,
    /// How far it has come.
    pub progress: Progress,
}

impl State {
    /// Before the first step.
    pub fn new(weights: Weights) -> State {
        State { weights, optimizer_states: Vec::new(), progress: Progress::default() }
    }

    /// What the run has to show, and is judged by: the average of the weights, if it keeps one.
    pub fn model(&self) -> &Weights {
        let average =
            self.optimizer_states.iter().find(|(optimizer_state, _)| *optimizer_state == OptimizerState::Average);
        average.map_or(&self.weights, |(_, average)| average)
    }
}

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs done and evaluated.
    pub epochs: usize,
    /// Steps done over the whole run.
    pub step: usize,
    /// What is known of the epoch that is under way.
    pub epoch: EpochSums,
    /// Steps that were done at the last evaluation.
    pub evaluated: usize,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// The lowest validation loss at the end of an epoch, which patience counts from.
    #[serde(default)]
    pub lowest: Option<Lowest>,
}

impl Progress {
    /// Counts an epoch that is done and evaluated.
    pub(super) fn count_epoch(&mut self, val_loss: f64) {
        self.epochs += 1;
        self.epoch = EpochSums::default();
        if self.lowest.is_none_or(|lowest| val_loss < lowest.val_loss) {
            self.lowest = Some(Lowest { epoch: self.epochs, val_loss });
        }
    }

    /// Epochs since that of the lowest validation loss.
    pub fn waited(&self) -> usize {
        self.epochs - self.lowest.map_or(self.epochs, |lowest| lowest.epoch.min(self.epochs))
    }
}

/// The lowest validation loss at the end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lowest {
    /// Which, from 1.
    pub epoch: usize,
    /// Mean over the validation set.
    pub val_loss: f64,
}

/// An evaluation that no other has surpassed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Steps done by then.
    pub step: usize,
    /// Share of the validation set.
    pub val_accuracy: f64,
    /// Mean over the validation set, which decides between equal accuracies.
    pub val_loss: f64,
}

impl Best {
    /// Whether this one is better.
    pub(super) fn surpasses(&self, other: &Best) -> bool {
        (self.val_accuracy, -self.val_loss) > (other.val_accuracy, -other.val_loss)
    }
}

/// What is known of the steps of an epoch so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochSums {
    /// Steps of it that are done: the position in the order of the images.
    pub steps: usize,
    /// Images of the steps that are done.
    pub images: usize,
    /// Sum of their losses.
    pub loss: f64,
    /// Of their images, those that were predicted rightly.
    pub correct: u64,
    /// Seconds that they took.
    pub seconds: f64,
}

impl EpochSums {
    /// Adds steps one by one: rounded sums depend on their order, and how many steps come at once is a matter of speed.
    pub(super) fn add(&mut self, images: usize, losses: &[f32], correct: &[u32], seconds: f64) {
        self.steps += losses.len();
        self.images += images;
        for loss in losses {
            self.loss += f64::from(*loss);
        }
        self.correct += correct.iter().map(|count| u64::from(*count)).sum::<u64>();
        self.seconds += seconds;
    }

    /// Mean loss of an image.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.images as f64
    }

    /// Share of the images that were predicted rightly.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.images as f64
    }

    /// Images a second.
    pub fn images_per_second(&self) -> f64 {
        self.images as f64 / self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_how_many_steps_come_at_once() {
        // Half the spacing of f64 at 2: (2 + tiny) + tiny is 2, and 2 + (tiny + tiny) is not.
        let tiny = 2f32.powi(-52);
        let losses = [1.0, 1.0, tiny, tiny, 3.0, tiny, tiny];
        let sum = |lengths: &[usize]| {
            let (mut sums, mut rest) = (EpochSums::default(), &losses[..]);
            for length in lengths {
                let (now, later) = rest.split_at(*length);
                sums.add(10 * length, now, &vec![1; *length], 0.5);
                rest = later;
            }
            assert_eq!((sums.steps, sums.images, sums.correct), (7, 70, 7));
            sums.loss.to_bits()
        };
        let one_by_one = sum(&[1; 7]);
        for lengths in [&[7][..], &[2, 5], &[2, 2, 1, 2], &[3, 4]] {
            assert_eq!(sum(lengths), one_by_one, "{lengths:?}");
        }
    }
}
