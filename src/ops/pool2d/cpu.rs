use super::{Backward, Forward, Kind, per_word};
use crate::ops::Compute;
use crate::reference::{Real, Tensors};
use crate::shape::Window2d;

/// Indices in `x` of the elements of channel `c` in the window at `p,q` of image `n`, in row-major order.
fn window(g: &Window2d, n: usize, p: usize, q: usize, c: usize) -> Vec<usize> {
    let mut elements = Vec::with_capacity(g.area());
    for r in 0..g.kernel[0] {
        for s in 0..g.kernel[1] {
            let (h, w) = (p * g.stride[0] + r, q * g.stride[1] + s);
            elements.push(((n * g.height + h) * g.width + w) * g.channels + c);
        }
    }
    elements
}

// ANCHOR: extreme
/// The position among `elements` of the maximum, or for [`Kind::Min`] of the minimum; the first in case of ties.
fn first_extreme<F: Real>(kind: Kind, x: &[F], elements: &[usize]) -> usize {
    let mut first = 0;
    for (place, &i) in elements.iter().enumerate() {
        let best = x[elements[first]];
        if (kind == Kind::Max && x[i] > best) || (kind == Kind::Min && x[i] < best) {
            first = place;
        }
    }
    first
}
// ANCHOR_END: extreme

impl Compute for Forward {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let g = &self.window;
        let x = tensors.input("x");
        let y = tensors.output("y");
        let mut m = self.keeps_m.then(|| tensors.output_int("m"));
        if let Some(m) = &mut m {
            m.fill(0);
        }
        let area = F::of(g.area() as f64);
        for n in 0..g.batch {
            for p in 0..g.out_height {
                for q in 0..g.out_width {
                    for c in 0..g.channels {
                        let elements = window(g, n, p, q, c);
                        let o = ((n * g.out_height + p) * g.out_width + q) * g.channels + c;
                        y[o] = match self.kind {
                            Kind::Max | Kind::Min => {
                                let first = first_extreme(self.kind, x, &elements);
                                if let Some(m) = &mut m {
                                    m[o / per_word(g)] |= (first as u32) << (o % per_word(g) * 8);
                                }
                                x[elements[first]]
                            }
                            Kind::Average => elements.iter().map(|&i| x[i]).sum::<F>() / area,
                            Kind::L2 => elements.iter().map(|&i| x[i] * x[i]).sum::<F>().sqrt(),
                        };
                        if let Some(mask) = self.dropout {
                            y[o] = mask.drop_out(y[o], &tensors.step, o);
                        }
                    }
                }
            }
        }
    }
}

impl Compute for Backward {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let g = &self.window;
        let y = tensors.input("y");
        let dy = tensors.input("dy");
        let dx = tensors.output("dx");
        let area = F::of(g.area() as f64);
        let kept = F::of(f64::from(self.kept()));
        dx.fill(F::zero());
        for n in 0..g.batch {
            for p in 0..g.out_height {
                for q in 0..g.out_width {
                    for c in 0..g.channels {
                        let elements = window(g, n, p, q, c);
                        let o = ((n * g.out_height + p) * g.out_width + q) * g.channels + c;
                        // Without dropout. Where an element was dropped, dy is 0.
                        let y = y[o] * kept;
                        match self.kind {
                            Kind::Max | Kind::Min => {
                                let m = tensors.input_int("m");
                                let place = match per_word(g) {
                                    4 => m[o / 4].to_le_bytes()[o % 4] as usize,
                                    _ => m[o] as usize,
                                };
                                dx[elements[place]] += dy[o] * self.producer.derivative(y);
                            }
                            Kind::Average => elements.iter().for_each(|&i| dx[i] += dy[o] / area),
                            // The gradient is zero for a window of zeros.
                            Kind::L2 if y == F::zero() => {}
                            Kind::L2 => {
                                let x = tensors.input("x");
                                elements.iter().for_each(|&i| dx[i] += dy[o] * x[i] / y);
                            }
                        }
                    }
                }
            }
        }
        if !self.kind.is_extreme() {
            for (dx, &x) in dx.iter_mut().zip(tensors.input("x")) {
                *dx = *dx * self.producer.derivative(x);
            }
        }
    }
}
