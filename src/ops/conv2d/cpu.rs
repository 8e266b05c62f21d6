use super::{BackwardInput, BackwardWeight, Forward, Geometry};
use crate::ops::Compute;
use crate::ops::activation::finish_input_gradient;
use crate::reference::{Real, Tensors};

// The forward pass and both gradients share one loop: over all places of the window, and over the taps that lie inside
// the image. They differ only in what is accumulated: y += x w, dw += x dy, dx += dy w. The innermost loops run over
// adjacent elements and multiply all of them by the same factor, a form that compilers vectorize.

impl Geometry {
    // ANCHOR: walk
    /// Calls `visit` for each tap of the window at each place, if the tap lies inside the image, with the indices of
    /// the place (out of N*P*Q), the tap (out of R*S) and the pixel (out of N*H*W).
    fn for_each_tap(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let window = &self.window;
        for n in 0..window.batch {
            for p in 0..window.out_height {
                for q in 0..window.out_width {
                    let place = (n * window.out_height + p) * window.out_width + q;
                    for r in 0..window.kernel[0] {
                        for s in 0..window.kernel[1] {
                            let tap = r * window.kernel[1] + s;
                            // Coordinates in the padded image, which are never negative.
                            let (row, column) = (p * window.stride[0] + r, q * window.stride[1] + s);
                            let rows = window.padding[0]..window.padding[0] + window.height;
                            let columns = window.padding[1]..window.padding[1] + window.width;
                            if rows.contains(&row) && columns.contains(&column) {
                                let (h, w) = (row - window.padding[0], column - window.padding[1]);
                                visit(place, tap, (n * window.height + h) * window.width + w);
                            }
                        }
                    }
                }
            }
        }
    }
    // ANCHOR_END: walk
}

// ANCHOR: forward
impl Compute for Forward {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let Geometry { window, filters } = self.geometry;
        let channels = window.channels;
        let (x, w, b) = (tensors.input("x"), tensors.input("w"), tensors.input("b"));
        let y = tensors.output("y");
        for y in y.chunks_exact_mut(filters) {
            y.copy_from_slice(b);
        }
        self.geometry.for_each_tap(|place, tap, pixel| {
            let y = &mut y[place * filters..][..filters];
            for c in 0..channels {
                let x = x[pixel * channels + c];
                let w = &w[(tap * channels + c) * filters..][..filters];
                for k in 0..filters {
                    y[k] += x * w[k];
                }
            }
        });
        for (i, y) in y.iter_mut().enumerate() {
            *y = self.activation.apply(*y);
            if let Some(mask) = self.dropout {
                *y = mask.drop_out(*y, &tensors.step, i);
            }
        }
    }
}
// ANCHOR_END: forward

impl Compute for BackwardInput {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let Geometry { window, filters } = self.geometry;
        let channels = window.channels;
        let (dy, w) = (tensors.input("dy"), tensors.input("w"));
        let dx = tensors.output("dx");
        // The weights as [R,S,K,C].
        let mut w_transposed = vec![F::zero(); w.len()];
        for tap in 0..window.area() {
            for c in 0..channels {
                for k in 0..filters {
                    w_transposed[(tap * filters + k) * channels + c] = w[(tap * channels + c) * filters + k];
                }
            }
        }
        dx.fill(F::zero());
        self.geometry.for_each_tap(|place, tap, pixel| {
            let dx = &mut dx[pixel * channels..][..channels];
            for k in 0..filters {
                let dy = dy[place * filters + k];
                let w = &w_transposed[(tap * filters + k) * channels..][..channels];
                for c in 0..channels {
                    dx[c] += dy * w[c];
                }
            }
        });
        finish_input_gradient(dx, self.producer, self.dropout, tensors);
    }
}

// ANCHOR: backward_weight
impl Compute for BackwardWeight {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let Geometry { window, filters } = self.geometry;
        let channels = window.channels;
        let (x, dy) = (tensors.input("x"), tensors.input("dy"));
        let dw = tensors.output("dw");
        dw.fill(F::zero());
        self.geometry.for_each_tap(|place, tap, pixel| {
            let dy = &dy[place * filters..][..filters];
            for c in 0..channels {
                let x = x[pixel * channels + c];
                let dw = &mut dw[(tap * channels + c) * filters..][..filters];
                for k in 0..filters {
                    dw[k] += x * dy[k];
                }
            }
        });
        let db = tensors.output("db");
        db.fill(F::zero());
        for dy in dy.chunks_exact(filters) {
            for k in 0..filters {
                db[k] += dy[k];
            }
        }
    }
}
// ANCHOR_END: backward_weight
