use super::{BackwardBias, BackwardInput, BackwardWeight, Forward};
use crate::ops::Compute;
use crate::reference::{Real, Tensors};

impl Compute for Forward {
    fn compute<F: Real>(&self, _tensors: &mut Tensors<'_, F>) {
        todo!()
    }
}

impl Compute for BackwardInput {
    fn compute<F: Real>(&self, _tensors: &mut Tensors<'_, F>) {
        todo!()
    }
}

impl Compute for BackwardWeight {
    fn compute<F: Real>(&self, _tensors: &mut Tensors<'_, F>) {
        todo!()
    }
}

impl Compute for BackwardBias {
    fn compute<F: Real>(&self, _tensors: &mut Tensors<'_, F>) {
        todo!()
    }
}
