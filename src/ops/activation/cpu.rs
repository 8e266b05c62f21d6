use super::{Activation, Backward, Forward};
use crate::ops::Compute;
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
