//! The state of a run between two steps: exactly what a checkpoint has to hold.

use crate::network::{OptimizerState, Weights};
use serde::{Deserialize, Serialize};

/// The state of a run between two steps. Together with network, options and data it determines everything that follows:
/// the order of the images is drawn from (seed, epoch) and dropout from (seed, step), so neither has a state of its
/// own.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The trained weights.
    pub weights: Weights,
    /// The optimizer state of each weight; empty before the first step ([`OptimizerState`] gives the starting values).
    pub optimizer_states: Vec<(OptimizerState, Weights)>,
    /// How far the run has progressed.
    pub progress: Progress,
}

impl State {
    /// The state before the first step.
    pub fn new(weights: Weights) -> State {
        State { weights, optimizer_states: Vec::new(), progress: Progress::default() }
    }

    /// The weights that are evaluated and reported: their average, if the run keeps one.
    pub fn model(&self) -> &Weights {
        let average =
            self.optimizer_states.iter().find(|(optimizer_state, _)| *optimizer_state == OptimizerState::Average);
        average.map_or(&self.weights, |(_, average)| average)
    }
}

/// How far a run has progressed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs finished and evaluated.
    pub epochs: usize,
    /// Steps done since the start of the run.
    pub step: usize,
    /// Sums over the current epoch so far.
    pub epoch: EpochSums,
    /// Number of steps done at the last evaluation.
    pub evaluated: usize,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// The lowest validation loss at the end of an epoch, from which patience is counted.
    #[serde(default)]
    pub lowest: Option<Lowest>,
}

impl Progress {
    /// Counts an epoch that is finished and evaluated.
    pub(super) fn count_epoch(&mut self, val_loss: f64) {
        self.epochs += 1;
        self.epoch = EpochSums::default();
        if self.lowest.is_none_or(|lowest| val_loss < lowest.val_loss) {
            self.lowest = Some(Lowest { epoch: self.epochs, val_loss });
        }
    }

    /// Epochs since the lowest validation loss.
    pub fn waited(&self) -> usize {
        self.epochs - self.lowest.map_or(self.epochs, |lowest| lowest.epoch.min(self.epochs))
    }
}

/// The lowest validation loss at the end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lowest {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the validation set.
    pub val_loss: f64,
}

/// The best evaluation of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Number of steps done at the evaluation.
    pub step: usize,
    /// Fraction of the validation set classified correctly.
    pub val_accuracy: f64,
    /// Mean loss over the validation set, which decides between equal accuracies.
    pub val_loss: f64,
}

impl Best {
    /// Whether this evaluation is better than the other.
    pub(super) fn surpasses(&self, other: &Best) -> bool {
        (self.val_accuracy, -self.val_loss) > (other.val_accuracy, -other.val_loss)
    }
}

/// Sums over the steps of an epoch so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochSums {
    /// Steps of the epoch that are done: the position in the order of the images.
    pub steps: usize,
    /// Images in those steps.
    pub images: usize,
    /// Sum of the images' losses.
    pub loss: f64,
    /// Number of images classified correctly.
    pub correct: u64,
    /// Time that the steps took, in seconds.
    pub seconds: f64,
}

impl EpochSums {
    /// Adds steps one by one: rounding depends on the order of a sum, and the number of steps per submit must not
    /// change the result.
    pub(super) fn add(&mut self, images: usize, losses: &[f32], correct: &[u32], seconds: f64) {
        self.steps += losses.len();
        self.images += images;
        for loss in losses {
            self.loss += f64::from(*loss);
        }
        self.correct += correct.iter().map(|count| u64::from(*count)).sum::<u64>();
        self.seconds += seconds;
    }

    /// Mean loss per image.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.images as f64
    }

    /// Fraction of the images classified correctly.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.images as f64
    }

    /// Images per second.
    pub fn images_per_second(&self) -> f64 {
        self.images as f64 / self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_how_many_steps_come_at_once() {
        // Half the spacing of f64 at 2, so (2 + tiny) + tiny is 2, and 2 + (tiny + tiny) is not.
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
