use super::Gather;
use crate::ops::Compute;
use crate::reference::{Real, Tensors};

impl Compute for Gather {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let images = tensors.input_int("images");
        let labels = tensors.input_int("labels");
        let order = tensors.input_int("order");
        let x = tensors.output("x");
        let targets = tensors.output_int("targets");
        let first = tensors.step.first as usize;
        let count = (tensors.step.count as usize).min(self.batch);
        x.fill(F::zero());
        targets.fill(0);
        for row in 0..count {
            let image = order[first + row] as usize;
            targets[row] = labels[image];
            for i in 0..self.pixels {
                let at = image * self.pixels + i;
                let byte = images[at / 4].to_le_bytes()[at % 4];
                x[row * self.pixels + i] = F::of(f64::from(byte)) / F::of(255.0);
            }
        }
    }
}
