use super::Loss;
use crate::ops::Compute;
use crate::reference::{Real, Slice, SliceMut, Tensors};

/// One after the other: what the kernel computes at once.
impl Compute for Loss {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let (x, w, b) = (tensors.input("x"), tensors.input("w"), tensors.input("b"));
        let targets = tensors.input_int("targets");
        let (dy, loss) = (tensors.output("dy"), tensors.output("loss"));
        let prediction = tensors.output_int("prediction");
        let step = tensors.step;
        let mut z = vec![F::zero(); dy.len()];
        self.forward().compute(&mut Tensors {
            step,
            inputs: vec![("x", Slice::Real(x)), ("w", Slice::Real(w)), ("b", Slice::Real(b))],
            outputs: vec![("y", Some(SliceMut::Real(&mut z)))],
        });
        self.loss().compute(&mut Tensors {
            step,
            inputs: vec![("x", Slice::Real(&z)), ("targets", Slice::Int(targets))],
            outputs: vec![
                ("dx", Some(SliceMut::Real(&mut *dy))),
                ("loss", Some(SliceMut::Real(loss))),
                ("prediction", Some(SliceMut::Int(prediction))),
            ],
        });
        self.backward().compute(&mut Tensors {
            step,
            inputs: vec![("dy", Slice::Real(dy)), ("w", Slice::Real(w)), ("x", Slice::Real(x))],
            outputs: vec![("dx", Some(SliceMut::Real(tensors.output("dx"))))],
        });
    }
}
