use super::{BackwardInput, BackwardWeight, Forward, Geometry, Running, Statistics};
use crate::ops::Compute;
use crate::reference::{Real, Tensors};

// ANCHOR: statistics
impl Compute for Statistics {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let x = tensors.input("x");
        let rows = self.geometry.counted(&tensors.step);
        let [mean, var, running_mean, running_var] =
            ["mean", "var", "running_mean", "running_var"].map(|name| tensors.output(name));
        let channels = self.geometry.channels;
        // A slice without images leaves the running statistics as they are.
        let momentum = if rows == 0 { F::zero() } else { F::of(f64::from(self.momentum)) };
        let kept = F::one() - momentum;
        let m = F::of(rows.max(1) as f64);
        let unbiased = m / F::max(m - F::one(), F::one());
        for c in 0..channels {
            let of_channel = || (0..rows).map(|r| x[r * channels + c]);
            mean[c] = of_channel().sum::<F>() / m;
            var[c] = of_channel().map(|x| (x - mean[c]).powi(2)).sum::<F>() / m;
            running_mean[c] = kept * running_mean[c] + momentum * mean[c];
            running_var[c] = kept * running_var[c] + momentum * (unbiased * var[c]);
        }
    }
}
// ANCHOR_END: statistics

impl Compute for Running {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let [mean, var] = ["mean", "var"].map(|name| tensors.input(name));
        let [running_mean, running_var] = ["running_mean", "running_var"].map(|name| tensors.output(name));
        let momentum = F::of(f64::from(self.momentum));
        let kept = F::one() - momentum;
        let m = F::of(self.geometry.pooled(&tensors.step) as f64);
        let unbiased = m / F::max(m - F::one(), F::one());
        for c in 0..self.geometry.channels {
            running_mean[c] = kept * running_mean[c] + momentum * mean[c];
            running_var[c] = kept * running_var[c] + momentum * (unbiased * var[c]);
        }
    }
}

impl Compute for Forward {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let [x, w, b, mean, var] = ["x", "w", "b", "mean", "var"].map(|name| tensors.input(name));
        let y = tensors.output("y");
        let Geometry { channels, .. } = self.geometry;
        let epsilon = F::of(f64::from(self.epsilon));
        for (i, y) in y.iter_mut().enumerate() {
            let c = i % channels;
            let normal = (x[i] - mean[c]) / (var[c] + epsilon).sqrt();
            *y = self.activation.apply(w[c] * normal + b[c]);
        }
    }
}

impl Compute for BackwardWeight {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let [x, dy, mean, var] = ["x", "dy", "mean", "var"].map(|name| tensors.input(name));
        let rows = self.geometry.counted(&tensors.step);
        let (dw, db) = (tensors.output("dw"), tensors.output("db"));
        let Geometry { channels, .. } = self.geometry;
        let epsilon = F::of(f64::from(self.epsilon));
        for c in 0..channels {
            let normal = |i: usize| (x[i] - mean[c]) / (var[c] + epsilon).sqrt();
            let of_channel = || (0..rows).map(|r| r * channels + c);
            db[c] = of_channel().map(|i| dy[i]).sum();
            dw[c] = of_channel().map(|i| dy[i] * normal(i)).sum();
        }
    }
}

impl Compute for BackwardInput {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let [x, dy, w, mean, var, dw, db] = ["x", "dy", "w", "mean", "var", "dw", "db"].map(|name| tensors.input(name));
        let rows = self.geometry.counted(&tensors.step);
        let dx = tensors.output("dx");
        let Geometry { channels, .. } = self.geometry;
        let epsilon = F::of(f64::from(self.epsilon));
        let m = F::of(self.geometry.pooled(&tensors.step) as f64);
        for (i, dx) in dx.iter_mut().enumerate() {
            let c = i % channels;
            let deviation = (var[c] + epsilon).sqrt();
            let normal = (x[i] - mean[c]) / deviation;
            let own = w[c] / deviation * (dy[i] - (db[c] + normal * dw[c]) / m);
            let counts = i < rows * channels;
            *dx = if counts { own * self.producer.derivative(x[i]) } else { F::zero() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Step;
    use crate::verify::{Case, Values};

    fn real(values: &[f32]) -> Values {
        Values::Real(values.to_vec())
    }

    /// Two channels and three images, the last of which is padding. The first channel is 1, 3 and the second 2, 2.
    #[test]
    fn statistics_by_hand() {
        let op = Statistics { geometry: Geometry { batch: 3, places: 1, channels: 2 }, momentum: 0.25 };
        let given = vec![
            ("x", real(&[1.0, 2.0, 3.0, 2.0, 100.0, 100.0])),
            ("running_mean", real(&[0.0, 4.0])),
            ("running_var", real(&[1.0, 1.0])),
        ];
        let case = Case::new(op, given).with_step(Step { count: 2, ..Step::default() });
        let expected = [
            ("mean", vec![2.0, 2.0]),
            ("var", vec![1.0, 0.0]),
            ("running_mean", vec![0.5, 3.5]),
            // The unbiased variance is 2.
            ("running_var", vec![1.25, 0.75]),
        ];
        assert_eq!(case.reference::<f64>(), expected);
    }

    /// x = 1, 3 with a mean of 2 and a variance of 3, which are not those of x: xh = -1/2, 1/2 with an epsilon of 1.
    #[test]
    fn passes_by_hand() {
        let geometry = Geometry { batch: 2, places: 1, channels: 1 };
        let given = vec![
            ("x", real(&[1.0, 3.0])),
            ("w", real(&[4.0])),
            ("b", real(&[1.0])),
            ("mean", real(&[2.0])),
            ("var", real(&[3.0])),
            ("dy", real(&[1.0, 5.0])),
            ("dw", real(&[2.0])),
            ("db", real(&[6.0])),
        ];
        let forward = Forward { geometry, epsilon: 1.0, activation: crate::ops::Activation::Relu };
        assert_eq!(Case::new(forward, given.clone()).reference::<f64>(), [("y", vec![0.0, 3.0])]);
        let weight = BackwardWeight { geometry, epsilon: 1.0 };
        assert_eq!(Case::new(weight, given.clone()).reference::<f64>(), [("dw", vec![2.0]), ("db", vec![6.0])]);
        // 4/2 (1 - (6 - 2/2) / 2) and 4/2 (5 - (6 + 2/2) / 2)
        let input = BackwardInput { geometry, epsilon: 1.0, producer: crate::ops::Activation::Identity };
        assert_eq!(Case::new(input, given).reference::<f64>(), [("dx", vec![-3.0, 3.0])]);
    }
}
