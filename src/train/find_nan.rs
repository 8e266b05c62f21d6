//! Finds the pass that produced the first number that is not finite: the steps since the last checkpoint are repeated
//! one by one until one of them spoils the loss, the weights or the optimizer state; that step is then repeated pass by
//! pass.

use super::{State, Trainer};
use crate::error::Result;
use crate::machine::{NotFinite, Section, sections};
use crate::network::Weights;
use crate::ops::Step;

impl Trainer<'_> {
    /// Where the number first appeared, as a line to append to the error.
    pub(super) async fn find_not_finite(&mut self) -> Result<String> {
        self.go_back()?;
        if let Some(train) = self.machine.compiled.tensors.train {
            self.machine.write_int(train.order, &self.order.epoch(self.progress.epochs));
        }
        let first = self.progress.step + 1;
        let steps = self.steps();
        // Clears the losses of the steps that went wrong.
        self.machine.write(self.scores.losses, &vec![0.0; steps.len() * self.division.parts]);
        let mut before = self.saved.state.clone();
        for step in &steps[self.progress.epoch.steps..] {
            let parts = self.division.parts_of(step, 0, false);
            self.machine.run_parts(std::slice::from_ref(&parts))?;
            let slot = step.slot as usize;
            let loss = self.read_scores(slot..slot + 1).await?.0[0];
            self.progress.step += 1;
            self.progress.epoch.steps += 1;
            let after = self.state().await?;
            if loss.is_finite() && is_finite(&after) {
                before = after;
                continue;
            }
            self.machine.write_weights(&before.weights);
            self.machine.write_optimizer_states(&before.weights, &before.optimizer_states)?;
            for (part, section) in sections(&parts) {
                if let Some(found) = self.machine.first_not_finite(section, part).await? {
                    return Ok(format!("step {}: {found}", step.step + 1));
                }
            }
            break;
        }
        if let Some(found) = self.find_in_evaluation().await? {
            return Ok(format!("evaluation: {found}"));
        }
        Ok(format!(
            "all values stayed finite when the steps from {first} on were repeated: the results of this device are not reproducible"
        ))
    }

    async fn find_in_evaluation(&mut self) -> Result<Option<NotFinite>> {
        for step in Step::epoch(self.data.test.len(), self.division.images, 0, 0, 0.0) {
            let found = self.machine.first_not_finite(Section::Evaluate, step).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// The first number of a state that is not finite.
pub(super) fn not_finite(state: &State) -> Option<f32> {
    let of = |weights: &Weights| weights.values.iter().flatten().copied().find(|value| !value.is_finite());
    of(&state.weights).or_else(|| state.optimizer_states.iter().find_map(|(_, values)| of(values)))
}

fn is_finite(state: &State) -> bool {
    not_finite(state).is_none()
}
