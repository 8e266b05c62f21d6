use super::Update;
use crate::ops::Compute;
use crate::reference::{Real, Tensors};

impl Compute for Update {
    fn compute<F: Real>(&self, _tensors: &mut Tensors<'_, F>) {
        todo!()
    }
}
