use super::Update;
use crate::ops::Compute;
use crate::reference::{Real, Tensors};

impl Compute for Update {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let w = tensors.input("weights");
        let average = tensors.output("average");
        let decay = F::of(f64::from(self.decay.min(tensors.step.average_limit)));
        for i in 0..self.len {
            average[i] = decay * average[i] + (F::one() - decay) * w[i];
        }
    }
}
