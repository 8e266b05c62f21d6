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
        let (eta, mu, decay, nesterov) = (tensors.step.learning_rate, self.momentum, self.weight_decay, self.nesterov);
        let part = team.part(self.len, WORTH);
        if mu > 0.0 {
            let v = tensors.output("velocity");
            let parts = w.par_chunks_mut(part).zip(v.par_chunks_mut(part)).zip(gradient.par_chunks(part));
            parts.for_each(|((w, v), gradient)| {
                vectorized!(team, {
                    for ((w, v), gradient) in w.iter_mut().zip(v).zip(gradient) {
                        let g = scaled(*gradient, scale) + decay * *w;
                        *v = flushed(mu * *v + g);
                        *w -= eta * if nesterov { g + mu * *v } else { *v };
                    }
                });
            });
        } else {
            w.par_chunks_mut(part).zip(gradient.par_chunks(part)).for_each(|(w, gradient)| {
                vectorized!(team, {
                    w.iter_mut()
                        .zip(gradient)
                        .for_each(|(w, gradient)| *w -= eta * (scaled(*gradient, scale) + decay * *w));
                });
            });
        }
        Ok(())
    }
}
