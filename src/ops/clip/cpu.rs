use super::Scale;
use crate::ops::Compute;
use crate::reference::{Real, Tensors};

impl Compute for Scale {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let gradient = tensors.input("gradient");
        let scale = tensors.output("scale");
        let most = F::of(f64::from(self.most));
        let norm = gradient.iter().map(|g| *g * *g).sum::<F>().sqrt();
        scale[0] = if norm > most { most / norm } else { F::one() };
    }
}
