//! Copies weights and optimizer states to and from the device.

use super::Machine;
use crate::error::Result;
use crate::memory;
use crate::network::{Compiled, OptimizerState, Weights};
use crate::plan::TensorId;
use std::ops::Range;

impl Machine {
    /// Uploads weights to the device.
    pub fn write_weights(&mut self, weights: &Weights) {
        for (id, values) in self.compiled.tensors.parameters.clone().into_iter().zip(&weights.values) {
            self.write(id, values);
        }
    }

    /// Reads the current weights.
    pub async fn read_weights(&mut self) -> Result<Weights> {
        self.read_bank(self.compiled.tensors.weights).await
    }

    /// Reads the current optimizer states, each of which has a value per weight.
    pub async fn read_optimizer_states(&mut self) -> Result<Vec<(OptimizerState, Weights)>> {
        let mut read = Vec::new();
        for (optimizer_state, id) in self.compiled.tensors.optimizer_states.clone() {
            read.push((optimizer_state, self.read_bank(id).await?));
        }
        Ok(read)
    }

    /// Uploads optimizer states to the device. States that are not given get their initial values: the average starts
    /// as the weights, all others as zeros. Given states that the network does not use are ignored.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Memory`] when there is not enough memory to assemble them.
    pub fn write_optimizer_states(&mut self, weights: &Weights, given: &[(OptimizerState, Weights)]) -> Result<()> {
        for (optimizer_state, id) in self.compiled.tensors.optimizer_states.clone() {
            let given = given.iter().find(|(known, _)| *known == optimizer_state).map(|(_, values)| values);
            let given = given.or((optimizer_state == OptimizerState::Average).then_some(weights));
            let mut all = memory::zeros(self.compiled.plan.get(id).region.len, optimizer_state.name())?;
            for (part, values) in self.parts().into_iter().zip(given.iter().flat_map(|given| &given.values)) {
                all[part].copy_from_slice(values);
            }
            self.write(id, &all);
        }
        Ok(())
    }

    /// Reads a tensor that has the same layout as all weights together.
    async fn read_bank(&mut self, whole: TensorId) -> Result<Weights> {
        let len = self.compiled.plan.get(whole).region.len;
        let all = self.read(whole, 0..len).await?;
        let values = self.parts().into_iter().map(|part| memory::copied(&all[part], "a copy of the weights"));
        Ok(Weights { values: values.collect::<Result<_>>()? })
    }

    /// The range of each parameter in the tensor of all weights.
    fn parts(&self) -> Vec<Range<usize>> {
        let Compiled { plan, tensors, .. } = &self.compiled;
        let start = plan.get(tensors.weights).region.offset;
        let part = |id: &TensorId| {
            let region = plan.get(*id).region;
            region.offset - start..region.offset - start + region.len
        };
        tensors.parameters.iter().map(part).collect()
    }
}
