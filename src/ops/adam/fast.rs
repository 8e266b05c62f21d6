use super::Update;
use crate::error::Result;
use crate::fast::sums::WORTH;
use crate::fast::{Fast, Team, flushed, scaled, vectorized};
use crate::reference::Tensors;
use rayon::prelude::*;

impl Fast for Update {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let gradient = tensors.input("gradient");
        let scale = self.clipped.then(|| tensors.input("scale")[0]);
        let w = tensors.output("weights");
        let m = tensors.output("first_moment");
        let v = tensors.output("second_moment");
        let Update { beta1, beta2, epsilon, weight_decay, decoupled, .. } = *self;
        let (eta, c2) = (tensors.step.learning_rate, tensors.step.second_correction);
        let rate = eta * tensors.step.first_correction;
        let (coupled, kept) = if decoupled { (0.0, 1.0 - eta * weight_decay) } else { (weight_decay, 1.0) };
        let part = team.part(self.len, WORTH);
        let moments = m.par_chunks_mut(part).zip(v.par_chunks_mut(part));
        let parts = w.par_chunks_mut(part).zip(moments).zip(gradient.par_chunks(part));
        parts.for_each(|((w, (m, v)), gradient)| {
            vectorized!(team, {
                for (((w, m), v), gradient) in w.iter_mut().zip(m).zip(v).zip(gradient) {
                    let g = scaled(*gradient, scale) + coupled * *w;
                    *m = flushed(beta1 * *m + (1.0 - beta1) * g);
                    *v = flushed(beta2 * *v + (1.0 - beta2) * g * g);
                    *w = kept * *w - rate * *m / (c2 * v.sqrt() + epsilon);
                }
            });
        });
        Ok(())
    }
}
