use super::{Activation, Backward, Forward};
use crate::ops::Compute;
use crate::ops::dropout::Mask;
use crate::reference::{Real, Tensors};

impl Activation {
    /// The activation of z, f(z).
    pub(crate) fn apply<F: Real>(self, z: F) -> F {
        match self {
            Activation::Identity => z,
            // Not `max`, which would turn a NaN into 0.
            Activation::Relu => {
                if z < F::zero() {
                    F::zero()
                } else {
                    z
                }
            }
            Activation::Sigmoid => F::one() / (F::one() + (-z).exp()),
            Activation::Tanh => z.tanh(),
        }
    }

    /// The derivative f'(z), computed from y = f(z).
    pub(crate) fn derivative<F: Real>(self, y: F) -> F {
        match self {
            Activation::Identity => F::one(),
            Activation::Relu => {
                if y > F::zero() {
                    F::one()
                } else {
                    F::zero()
                }
            }
            Activation::Sigmoid => y * (F::one() - y),
            Activation::Tanh => F::one() - y * y,
        }
    }
}

/// Completes the input gradient of a layer with weights: drops the elements that `dropout` dropped of `x`, and multiplies
/// by the derivative of the activation that produced `x`.
pub(in crate::ops) fn finish_input_gradient<F: Real>(
    dx: &mut [F],
    producer: Activation,
    dropout: Option<Mask>,
    tensors: &Tensors<'_, F>,
) {
    if let Some(mask) = dropout {
        for (i, dx) in dx.iter_mut().enumerate() {
            *dx = mask.drop_out(*dx, &tensors.step, i);
        }
    }
    if producer != Activation::Identity {
        // `x` as it was before dropout. Where it was dropped, `dx` is 0 already.
        let kept = F::of(dropout.map_or(1.0, |mask| f64::from(mask.kept())));
        for (dx, x) in dx.iter_mut().zip(tensors.input("x")) {
            *dx = *dx * producer.derivative(*x * kept);
        }
    }
}

impl Compute for Forward {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let x = tensors.input("x");
        let y = tensors.output("y");
        for i in 0..self.len {
            y[i] = self.activation.apply(x[i]);
        }
    }
}

impl Compute for Backward {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let y = tensors.input("y");
        let dy = tensors.input("dy");
        let dx = tensors.output("dx");
        for i in 0..self.len {
            dx[i] = dy[i] * self.activation.derivative(y[i]);
        }
    }
}
