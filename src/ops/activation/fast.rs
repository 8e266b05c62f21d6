use super::{Activation, Backward, Forward};
use crate::error::Result;
use crate::fast::product::Finish;
use crate::fast::sums::WORTH;
use crate::fast::{Fast, Team, vectorized};
use crate::ops::dropout::Mask;
use crate::reference::Tensors;
use rayon::prelude::*;

impl Activation {
    /// The input `x` of a backward pass, which it has unless the producer is the identity.
    pub(crate) fn input<'a>(self, tensors: &Tensors<'a, f32>) -> Option<&'a [f32]> {
        (self != Activation::Identity).then(|| tensors.input("x"))
    }

    /// How a product that computes an input gradient finishes, given the input, which is there unless this activation,
    /// the producer, is the identity. Dropout itself follows later.
    pub(crate) fn finish(self, x: Option<&[f32]>, dropout: Option<Mask>) -> Finish<'_> {
        let kept = dropout.map_or(1.0, |mask| mask.kept());
        x.map_or(Finish::Store, |x| Finish::Producer { x, activation: self, kept })
    }

    /// Multiplies `dx` by the derivative f', computed from `y`.
    #[inline(always)]
    pub(crate) fn multiply_derivative(self, dx: &mut [f32], y: &[f32]) {
        // The activation is matched outside the loops, so that the loops can be vectorized.
        match self {
            Activation::Identity => {}
            Activation::Relu => dx.iter_mut().zip(y).for_each(|(dx, y)| *dx *= Activation::Relu.derivative(*y)),
            Activation::Sigmoid => dx.iter_mut().zip(y).for_each(|(dx, y)| *dx *= Activation::Sigmoid.derivative(*y)),
            Activation::Tanh => dx.iter_mut().zip(y).for_each(|(dx, y)| *dx *= Activation::Tanh.derivative(*y)),
        }
    }
}

impl Fast for Forward {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let x = tensors.input("x");
        let y = tensors.output("y");
        let part = team.part(self.len, WORTH);
        y.par_chunks_mut(part).zip(x.par_chunks(part)).for_each(|(y, x)| {
            vectorized!(team, y.iter_mut().zip(x).for_each(|(y, x)| *y = self.activation.apply(*x)));
        });
        Ok(())
    }
}

impl Fast for Backward {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let (y, dy) = (tensors.input("y"), tensors.input("dy"));
        let dx = tensors.output("dx");
        let part = team.part(self.len, WORTH);
        dx.par_chunks_mut(part).zip(dy.par_chunks(part)).zip(y.par_chunks(part)).for_each(|((dx, dy), y)| {
            vectorized!(team, {
                dx.copy_from_slice(dy);
                self.activation.multiply_derivative(dx, y);
            });
        });
        Ok(())
    }
}
