use super::Update;
use crate::ops::Compute;
use crate::reference::{Real, Tensors};

impl Compute for Update {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let gradient = tensors.input("gradient");
        let scale = if self.clipped { tensors.input("scale")[0] } else { F::one() };
        let gradient = |i: usize| scale * gradient[i];
        let w = tensors.output("weights");
        let eta = F::of(f64::from(tensors.step.learning_rate));
        let mu = F::of(f64::from(self.momentum));
        let decay = F::of(f64::from(self.weight_decay));
        if self.momentum > 0.0 {
            let v = tensors.output("velocity");
            for i in 0..self.len {
                let g = gradient(i) + decay * w[i];
                v[i] = mu * v[i] + g;
                let direction = if self.nesterov { g + mu * v[i] } else { v[i] };
                w[i] -= eta * direction;
            }
        } else {
            for (i, w) in w.iter_mut().enumerate() {
                *w -= eta * (gradient(i) + decay * *w);
            }
        }
    }
}
