use super::{Cost, Forward, Loss, NO_PREDICTION};
use crate::ops::Compute;
use crate::reference::{Real, Tensors};

/// The class with the largest logit, or the first of several such classes.
fn largest<F: Real>(x: &[F]) -> usize {
    (1..x.len()).fold(0, |best, j| if x[j] > x[best] { j } else { best })
}

// ANCHOR: softmax
/// The probabilities `a[j] = exp(x[j] - max) / sum`, and the sum.
fn softmax<F: Real>(x: &[F]) -> (Vec<F>, F) {
    let max = x[largest(x)];
    let powers: Vec<F> = x.iter().map(|logit| (*logit - max).exp()).collect();
    let sum: F = powers.iter().copied().sum();
    (powers.into_iter().map(|power| power / sum).collect(), sum)
}
// ANCHOR_END: softmax

impl Compute for Forward {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let x = tensors.input("x");
        let y = tensors.output("y");
        for (x, y) in x.chunks(self.classes).zip(y.chunks_mut(self.classes)) {
            y.copy_from_slice(&softmax(x).0);
        }
    }
}

impl Compute for Loss {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let x = tensors.input("x");
        let targets = tensors.input_int("targets");
        let dx = tensors.output("dx");
        let loss = tensors.output("loss");
        let prediction = tensors.output_int("prediction");
        dx.fill(F::zero());
        loss.fill(F::zero());
        prediction.fill(NO_PREDICTION);

        let images = (tensors.step.count as usize).min(self.batch);
        let count = F::of(tensors.step.divisor(self.batch) as f64);
        for n in 0..images {
            let x = &x[n * self.classes..][..self.classes];
            let dx = &mut dx[n * self.classes..][..self.classes];
            let target = targets[n] as usize;
            let (a, sum) = softmax(x);
            let smoothing = F::of(f64::from(self.smoothing));
            let q = |j: usize| {
                let own = if j == target { F::one() - smoothing } else { F::zero() };
                own + smoothing / F::of(self.classes as f64)
            };
            // e[j] = a[j] - [j = target]
            let e: Vec<F> = a.iter().enumerate().map(|(j, a)| if j == target { *a - F::one() } else { *a }).collect();
            // ANCHOR: costs
            match self.cost {
                Cost::CrossEntropy => {
                    // -log a[j]
                    let surprise = |j: usize| sum.ln() - (x[j] - x[largest(x)]);
                    loss[n] = surprise(target);
                    if self.smoothing > 0.0 {
                        loss[n] = (0..self.classes).map(|j| q(j) * surprise(j)).sum();
                    }
                    for j in 0..self.classes {
                        dx[j] = (a[j] - q(j)) / count;
                    }
                }
                Cost::Quadratic => {
                    loss[n] = F::of(0.5) * e.iter().map(|e| *e * *e).sum();
                    let inner: F = a.iter().zip(&e).map(|(a, e)| *a * *e).sum();
                    for j in 0..self.classes {
                        dx[j] = a[j] * (e[j] - inner) / count;
                    }
                }
            }
            // ANCHOR_END: costs
            prediction[n] = largest(x) as u32;
        }
    }
}
