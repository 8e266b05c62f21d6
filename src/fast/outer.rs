//! `out[m,n] += sum over places of x(place,m) * dy[place,n]`: the weight gradient, a sum of outer products.
//!
//! A place is a position of the window, and `x(place,m)` is an element that the window covers there, addressed as in
//! [`Left`]: `x` is the transpose of the left operand of the forward pass. A tile of `out` stays in registers while the
//! places are summed in order.

use super::product::{Left, add, for_each_row, load, store};
use pulp::{Simd, WithSimd};

/// A sum of outer products.
pub(crate) struct Outer<'a> {
    /// The windows; m counts the elements of a window, run after run.
    pub x: Left<'a>,
    /// The gradients, `[places, dy_stride]`; only the first n elements of each row are used.
    pub dy: &'a [f32],
    /// Number of elements from row to row of `dy`, a multiple of [`super::product::LANES`].
    pub dy_stride: usize,
    /// The sums, `[m, n]`.
    pub out: &'a mut [f32],
    /// Number of columns of the sums, n.
    pub columns: usize,
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for r in 0..self.x.runs {
            let mut first = 0;
            while first < self.x.run {
                first += match self.x.run - first {
                    1 => self.rows::<S, 1>(simd, r, first),
                    2 | 3 => self.rows::<S, 2>(simd, r, first),
                    4 | 5 => self.rows::<S, 4>(simd, r, first),
                    _ => self.rows::<S, 6>(simd, r, first),
                };
            }
        }
    }
}

impl Outer<'_> {
    /// Computes all columns of `R` rows, which start at element `first` of run `r`; returns `R`.
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(&mut self, simd: S, r: usize, first: usize) -> usize {
        let mut column = 0;
        while column < self.columns {
            let vectors = (self.columns - column).div_ceil(S::F32_LANES);
            column += S::F32_LANES
                * match vectors {
                    1 => self.tile::<S, R, 1>(simd, r, first, column),
                    2 | 3 => self.tile::<S, R, 2>(simd, r, first, column),
                    _ if S::REGISTER_COUNT >= 32 => self.tile::<S, R, 4>(simd, r, first, column),
                    _ => self.tile::<S, R, 2>(simd, r, first, column),
                };
        }
        R
    }

    // ANCHOR: tile
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        r: usize,
        first: usize,
        column: usize,
    ) -> usize {
        let Left { values, places: [images, rows, columns], strides: [image, row, step], run, run_stride, .. } = self.x;
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        let mut dy = self.dy.chunks_exact(columns * self.dy_stride);
        for n in 0..images {
            for (p, dy) in (0..rows).zip(&mut dy) {
                let x = &values[n * image + p * row + r * run_stride + first..][..(columns - 1) * step + R];
                for (q, dy) in dy.chunks_exact(self.dy_stride).enumerate() {
                    let x = &x[q * step..][..R];
                    let vectors = S::as_simd_f32s(&dy[column..][..V * S::F32_LANES]).0;
                    let mut dy = [simd.splat_f32s(0.0); V];
                    dy.copy_from_slice(&vectors[..V]);
                    for i in 0..R {
                        let x = simd.splat_f32s(x[i]);
                        for j in 0..V {
                            sums[i][j] = simd.mul_add_e_f32s(x, dy[j], sums[i][j]);
                        }
                    }
                }
            }
        }
        let width = (V * S::F32_LANES).min(self.columns - column);
        for_each_row!(R, i, {
            let out = &mut self.out[(r * run + first + i) * self.columns + column..][..width];
            let there = load(simd, out);
            store(simd, out, add(simd, there, sums[i]));
        });
        V
    }
    // ANCHOR_END: tile
}
