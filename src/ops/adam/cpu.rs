use super::Update;
use crate::ops::Compute;
use crate::reference::{Real, Tensors};

impl Compute for Update {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let gradient = tensors.input("gradient");
        let scale = if self.clipped { tensors.input("scale")[0] } else { F::one() };
        let gradient = |i: usize| scale * gradient[i];
        let w = tensors.output("weights");
        let m = tensors.output("first_moment");
        let v = tensors.output("second_moment");
        let of = |value: f32| F::of(f64::from(value));
        let (beta1, beta2, epsilon, decay) = (of(self.beta1), of(self.beta2), of(self.epsilon), of(self.weight_decay));
        let (eta, c1, c2) =
            (of(tensors.step.learning_rate), of(tensors.step.first_correction), of(tensors.step.second_correction));
        for i in 0..self.len {
            let mut g = gradient(i);
            if self.decoupled {
                w[i] = w[i] * (F::one() - eta * decay);
            } else {
                g += decay * w[i];
            }
            m[i] = beta1 * m[i] + (F::one() - beta1) * g;
            v[i] = beta2 * v[i] + (F::one() - beta2) * g * g;
            w[i] -= eta * c1 * m[i] / (c2 * v[i].sqrt() + epsilon);
        }
    }
}
