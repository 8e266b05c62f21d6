use super::Gather;
use crate::ops::Compute;
use crate::reference::{Real, Tensors};

impl Compute for Gather {
    fn compute<F: Real>(&self, _tensors: &mut Tensors<'_, F>) {
        todo!()
    }
}
