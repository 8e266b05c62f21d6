//! The end of an epoch: evaluation, and whether the run continues.

use super::{Best, EpochReport, Lowest, Progress, Trainer};
use crate::error::Result;
use crate::evaluate::Evaluation;

impl Trainer<'_> {
    /// Whether the run has nothing left to do.
    pub fn is_finished(&self) -> bool {
        let Progress { epochs, step, evaluated, .. } = self.progress;
        let most = self.options().max_steps.unwrap_or(usize::MAX);
        epochs >= self.options().epochs || (step >= most && evaluated == step) || self.stopped_early().is_some()
    }

    /// The epoch with the lowest validation loss, if patience has run out since.
    pub fn stopped_early(&self) -> Option<Lowest> {
        let patience = self.options().patience?;
        self.progress.lowest.filter(|_| self.progress.waited() >= patience)
    }

    /// Evaluates the weights; if the epoch is complete, counts it.
    pub(super) async fn close_epoch(&mut self) -> Result<(EpochReport, Evaluation)> {
        let evaluation = self.evaluate().await?;
        let (val_loss, val_accuracy) = (evaluation.loss, evaluation.accuracy());
        let Progress { epochs, step, epoch: sums, best, .. } = &self.progress;
        let report = EpochReport {
            epoch: epochs + 1,
            step: *step,
            train_loss: sums.mean_loss(),
            train_accuracy: sums.accuracy(),
            val_loss,
            val_accuracy,
            seconds: sums.seconds,
            images_per_second: sums.images_per_second(),
        };
        let now = Best { step: *step, val_accuracy, val_loss };
        if best.is_none_or(|best| now.surpasses(&best)) {
            self.progress.best = Some(now);
        }
        self.progress.evaluated = now.step;
        if self.progress.epoch.steps == self.epoch_steps() {
            self.progress.count_epoch(val_loss);
        }
        Ok((report, evaluation))
    }

    pub(super) async fn evaluate(&mut self) -> Result<Evaluation> {
        let evaluation = self.evaluator.run(&mut self.machine, self.most_steps, self.ranks).await?;
        if evaluation.loss.is_finite() {
            return Ok(evaluation);
        }
        Err(self.not_finite("the validation loss after step", self.progress.step, evaluation.loss))
    }
}
