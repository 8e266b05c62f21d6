use super::{BackwardInput, BackwardWeight, Forward, Geometry};
use crate::ops::Compute;
use crate::ops::activation::finish_input_gradient;
use crate::reference::{Real, Tensors};

// The innermost loops run over adjacent elements and multiply all of them by the same factor, a form that compilers
// vectorize.

// ANCHOR: forward
impl Compute for Forward {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let Geometry { batch, inputs, outputs } = self.geometry;
        let (x, w, b) = (tensors.input("x"), tensors.input("w"), tensors.input("b"));
        let y = tensors.output("y");
        for n in 0..batch {
            let y = &mut y[n * outputs..][..outputs];
            y.copy_from_slice(b);
            for i in 0..inputs {
                let x = x[n * inputs + i];
                let w = &w[i * outputs..][..outputs];
                for o in 0..outputs {
                    y[o] += x * w[o];
                }
            }
            for (o, y) in y.iter_mut().enumerate() {
                *y = self.activation.apply(*y);
                if let Some(mask) = self.dropout {
                    *y = mask.drop_out(*y, &tensors.step, n * outputs + o);
                }
            }
        }
    }
}
// ANCHOR_END: forward

impl Compute for BackwardInput {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let Geometry { batch, inputs, outputs } = self.geometry;
        let (dy, w) = (tensors.input("dy"), tensors.input("w"));
        let dx = tensors.output("dx");
        // The weights as [O,I].
        let mut w_transposed = vec![F::zero(); w.len()];
        for i in 0..inputs {
            for o in 0..outputs {
                w_transposed[o * inputs + i] = w[i * outputs + o];
            }
        }
        dx.fill(F::zero());
        for n in 0..batch {
            let dx = &mut dx[n * inputs..][..inputs];
            for o in 0..outputs {
                let dy = dy[n * outputs + o];
                let w = &w_transposed[o * inputs..][..inputs];
                for i in 0..inputs {
                    dx[i] += dy * w[i];
                }
            }
        }
        finish_input_gradient(dx, self.producer, self.dropout, tensors);
    }
}

impl Compute for BackwardWeight {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let Geometry { batch, inputs, outputs } = self.geometry;
        let (x, dy) = (tensors.input("x"), tensors.input("dy"));
        let dw = tensors.output("dw");
        dw.fill(F::zero());
        for n in 0..batch {
            let dy = &dy[n * outputs..][..outputs];
            for i in 0..inputs {
                let x = x[n * inputs + i];
                let dw = &mut dw[i * outputs..][..outputs];
                for o in 0..outputs {
                    dw[o] += x * dy[o];
                }
            }
        }
        let db = tensors.output("db");
        db.fill(F::zero());
        for dy in dy.chunks_exact(outputs) {
            for o in 0..outputs {
                db[o] += dy[o];
            }
        }
    }
}
