use super::Score;
use crate::ops::Compute;
use crate::reference::{Real, Tensors};

impl Compute for Score {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let loss = tensors.input("loss");
        let prediction = tensors.input_int("prediction");
        let targets = tensors.input_int("targets");
        let losses = tensors.output("losses");
        let correct = tensors.output_int("correct");
        let predictions = tensors.output_int("predictions");
        let (first, slot) = (tensors.step.first as usize, tensors.step.slot as usize);
        let count = (tensors.step.count as usize).min(self.batch);

        losses[slot] = loss[..count].iter().copied().sum();
        correct[slot] = (0..count).filter(|row| prediction[*row] == targets[*row]).count() as u32;
        predictions[first..first + count].copy_from_slice(&prediction[..count]);
    }
}
