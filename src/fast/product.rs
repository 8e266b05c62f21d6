//! `out[m,n] = finish(sum over k of left(m,k) * right[k,n])`, where a row of `left` is what a window covers.
//!
//! The left operand is read where it lies: a row's terms are a few runs of neighbours ([`Left`]). So a convolution needs no
//! matrix of windows, and a dense layer is the case of one run. The loops keep a tile of sums in registers, `R` rows by
//! `V` vectors of columns, and add one product to each of them for every k, in the order of k: no sum depends on the tile.
//!
//! What it spared: the crate `gemm` on a matrix of windows, four to 24 rows of places at a time. On one Zen 4 core (AVX-512)
//! and conv2 of case1, `gemm` alone runs at 107 to 116 GFLOP/s forward, these loops at 110 to 115; on top of it, writing
//! that matrix takes a tenth of its time, and it needs `unsafe`.

use super::vectorized;
use crate::ops::Activation;
use pulp::{Simd, WithSimd};

/// The statements once for each row of a tile of `$rows`, as text. A loop might stay one, and a tile whose rows are counted
/// at run time lies in memory, not in registers: that is two thirds of the speed.
macro_rules! for_each_row {
    ($rows:expr, $i:ident, $body:block) => {
        for_each_row!($rows, $i, $body, 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    ($rows:expr, $i:ident, $body:block, $($number:literal)*) => {{
        $(if $number < $rows {
            let $i: usize = $number;
            $body
        })*
    }};
}
pub(super) use for_each_row;

/// Right operands have rows of a multiple of so many elements: the widest vector.
pub(crate) const LANES: usize = 16;

// ANCHOR: left
/// A matrix with a row for each place of a window; also `x` of [`super::outer::Outer`].
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    /// What the windows lie on.
    pub values: &'a [f32],
    /// Images, and rows and columns of places in each.
    pub places: [usize; 3],
    /// Elements from one image, row and column of places to the next.
    pub strides: [usize; 3],
    /// Runs of neighbours below a window,
    pub runs: usize,
    /// elements of each,
    pub run: usize,
    /// and elements from the beginning of one to the next.
    pub run_stride: usize,
}
// ANCHOR_END: left

impl<'a> Left<'a> {
    /// A matrix as it usually lies, with `stride` elements from row to row.
    pub fn rows(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Left<'a> {
        Left { values, places: [1, 1, rows], strides: [0, 0, stride], runs: 1, run: columns, run_stride: 0 }
    }

    /// First element of each row.
    fn bases(&self) -> impl Iterator<Item = usize> + use<'a> {
        let Left { places: [images, rows, columns], strides: [image, row, column], .. } = *self;
        let rows = (0..images).flat_map(move |n| (0..rows).map(move |p| n * image + p * row));
        rows.flat_map(move |first| (0..columns).map(move |q| first + q * column))
    }
}

/// The right operand: `[k, stride]`, of which the first `columns` of each row count.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub values: &'a [f32],
    /// Columns of the product, n.
    pub columns: usize,
    /// At least `columns`, rounded up to [`LANES`].
    pub stride: usize,
}

/// Whether a matrix of so many columns can be a right operand as it lies.
pub(crate) fn fits(columns: usize) -> bool {
    columns.is_multiple_of(LANES)
}

/// Copies rows of `columns` elements to rows of a multiple of [`LANES`], filled up with zeros.
pub(crate) fn widen(from: &[f32], columns: usize, to: &mut [f32]) {
    for (from, to) in from.chunks_exact(columns).zip(to.chunks_exact_mut(columns.next_multiple_of(LANES))) {
        to[..columns].copy_from_slice(from);
        to[columns..].fill(0.0);
    }
}

/// What becomes of a finished sum.
#[derive(Clone, Copy)]
pub(crate) enum Finish<'a> {
    /// The sum is stored.
    Store,
    /// The sum is added to what is there.
    Add,
    /// f(sum + b[n])
    Bias(&'a [f32], Activation),
    /// sum * f'(x[m,n]); `x` lies like the product.
    Producer(&'a [f32], Activation),
}

/// One product.
pub(crate) struct Product<'a> {
    pub left: Left<'a>,
    pub right: Right<'a>,
    /// `[m, out_stride]`, of which the first n of each row are written; the last row may end behind them.
    pub out: &'a mut [f32],
    pub out_stride: usize,
    pub finish: Finish<'a>,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = S::F32_LANES;
        let many_registers = S::REGISTER_COUNT >= 32;
        let columns = self.right.columns;
        let mut column = 0;
        // Tiles of 24 sums where there are 32 registers, of 10 where there are 16, and fewer columns at the right edge. Of 12
        // the compiler keeps one in memory, and stores and loads it again for every k: the whole tile waits for that.
        while column < columns {
            let vectors = (columns - column).div_ceil(lanes);
            column += lanes
                * match vectors {
                    1 if many_registers => self.columns::<S, 12, 1>(simd, column),
                    1 => self.columns::<S, 8, 1>(simd, column),
                    2 | 3 if many_registers => self.columns::<S, 12, 2>(simd, column),
                    _ if many_registers => self.columns::<S, 6, 4>(simd, column),
                    _ => self.columns::<S, 5, 2>(simd, column),
                };
        }
    }
}

impl Product<'_> {
    /// All rows of `V` vectors of columns from `column` on; returns `V`.
    #[inline(always)]
    fn columns<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, column: usize) -> usize {
        let mut bases = self.left.bases();
        let mut row = 0;
        while let Some(first) = bases.next() {
            // Behind the last row it is computed again, and not stored.
            let mut tile_bases = [first; R];
            let mut rows = 1;
            for base in &mut tile_bases[1..] {
                let Some(next) = bases.next() else { break };
                *base = next;
                rows += 1;
            }
            let sums = self.tile::<S, R, V>(simd, &tile_bases, column);
            self.finish(simd, sums, row, rows, column);
            row += rows;
        }
        V
    }

    // ANCHOR: tile
    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(
        &self,
        simd: S,
        bases: &[usize; R],
        column: usize,
    ) -> [[S::f32s; V]; R] {
        let Left { values, runs, run, run_stride, .. } = self.left;
        let Right { values: right, stride, .. } = self.right;
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        for r in 0..runs {
            // Slices of one length, so that the loop over k need not check it for each of them.
            let mut left = [&values[..0]; R];
            for i in 0..R {
                left[i] = &values[bases[i] + r * run_stride..][..run];
            }
            let right = &right[r * run * stride..][..run * stride];
            for k in 0..run {
                let vectors = S::as_simd_f32s(&right[k * stride + column..][..V * S::F32_LANES]).0;
                let mut right = [simd.splat_f32s(0.0); V];
                right.copy_from_slice(&vectors[..V]);
                for i in 0..R {
                    let left = simd.splat_f32s(left[i][k]);
                    for j in 0..V {
                        sums[i][j] = simd.mul_add_e_f32s(left, right[j], sums[i][j]);
                    }
                }
            }
        }
        sums
    }
    // ANCHOR_END: tile

    /// Stores the first `rows` rows of a tile, whose first sum is at `row` and `column`.
    #[inline(always)]
    fn finish<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        mut sums: [[S::f32s; V]; R],
        row: usize,
        rows: usize,
        column: usize,
    ) {
        let width = (V * S::F32_LANES).min(self.right.columns - column);
        let first = row * self.out_stride + column;
        let at = |i: usize| first + i * self.out_stride..first + i * self.out_stride + width;
        let mut curved = Activation::Identity;
        match self.finish {
            Finish::Store => {}
            Finish::Add => for_each_row!(R, i, {
                if i < rows {
                    sums[i] = add(simd, sums[i], load(simd, &self.out[at(i)]));
                }
            }),
            Finish::Bias(b, activation) => {
                let b: [S::f32s; V] = load(simd, &b[column..][..width]);
                for_each_row!(R, i, { sums[i] = add(simd, sums[i], b) });
                if activation == Activation::Relu {
                    for_each_row!(R, i, { sums[i] = relu(simd, sums[i]) });
                } else {
                    curved = activation;
                }
            }
            Finish::Producer(x, producer) => for_each_row!(R, i, {
                if i < rows {
                    sums[i] = times_derivative(simd, sums[i], producer, load(simd, &x[at(i)]));
                }
            }),
        }
        for_each_row!(R, i, {
            if i < rows {
                store(simd, &mut self.out[at(i)], sums[i]);
            }
        });
        if curved != Activation::Identity {
            for i in 0..rows {
                let at = at(i);
                for y in &mut self.out[at] {
                    *y = curved.apply(*y);
                }
            }
        }
    }
}

/// `V` vectors, with zeros behind the end.
#[inline(always)]
pub(crate) fn load<S: Simd, const V: usize>(simd: S, from: &[f32]) -> [S::f32s; V] {
    let (whole, _) = S::as_simd_f32s(from);
    if whole.len() < V {
        return load_part(simd, from);
    }
    let mut vectors = [simd.splat_f32s(0.0); V];
    vectors.copy_from_slice(&whole[..V]);
    vectors
}

/// What of `V` vectors lies before the end.
#[inline(always)]
pub(crate) fn store<S: Simd, const V: usize>(simd: S, to: &mut [f32], vectors: [S::f32s; V]) {
    let (whole, _) = S::as_mut_simd_f32s(to);
    if whole.len() < V {
        return store_part(simd, to, vectors);
    }
    whole[..V].copy_from_slice(&vectors);
}

/// Rare, and long.
#[inline(never)]
fn load_part<S: Simd, const V: usize>(simd: S, from: &[f32]) -> [S::f32s; V] {
    let (whole, rest) = S::as_simd_f32s(from);
    let mut vectors = [simd.splat_f32s(0.0); V];
    vectors[..whole.len()].copy_from_slice(whole);
    vectors[whole.len()] = simd.partial_load_f32s(rest);
    vectors
}

#[inline(never)]
fn store_part<S: Simd, const V: usize>(simd: S, to: &mut [f32], vectors: [S::f32s; V]) {
    let (whole, rest) = S::as_mut_simd_f32s(to);
    let count = whole.len();
    whole.copy_from_slice(&vectors[..count]);
    simd.partial_store_f32s(rest, vectors[count]);
}

#[inline(always)]
pub(crate) fn add<S: Simd, const V: usize>(simd: S, mut a: [S::f32s; V], b: [S::f32s; V]) -> [S::f32s; V] {
    for j in 0..V {
        a[j] = simd.add_f32s(a[j], b[j]);
    }
    a
}

/// Not a maximum, which would turn a NaN into 0.
#[inline(always)]
fn relu<S: Simd, const V: usize>(simd: S, mut z: [S::f32s; V]) -> [S::f32s; V] {
    let zero = simd.splat_f32s(0.0);
    for z in &mut z {
        *z = simd.select_f32s(simd.less_than_f32s(*z, zero), zero, *z);
    }
    z
}

/// `dy f'(z)`, from y = f(z)
#[inline(always)]
fn times_derivative<S: Simd, const V: usize>(
    simd: S,
    mut dy: [S::f32s; V],
    activation: Activation,
    y: [S::f32s; V],
) -> [S::f32s; V] {
    let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
    for j in 0..V {
        let derivative = match activation {
            Activation::Identity => one,
            Activation::Relu => simd.select_f32s(simd.greater_than_f32s(y[j], zero), one, zero),
            Activation::Sigmoid => simd.mul_f32s(y[j], simd.sub_f32s(one, y[j])),
            Activation::Tanh => simd.sub_f32s(one, simd.mul_f32s(y[j], y[j])),
        };
        dy[j] = simd.mul_f32s(dy[j], derivative);
    }
    dy
}

/// Turns `[m, columns]` into `[columns, stride]`, of which the first m of each row are written.
pub(crate) fn transpose(team: &super::Team, from: &[f32], columns: usize, to: &mut [f32], stride: usize) {
    /// Rows that are read together: a cache line of what is written.
    const ROWS: usize = 16;
    vectorized!(team, {
        for (index, from) in from.chunks(ROWS * columns).enumerate() {
            let to = to.chunks_exact_mut(stride);
            if from.len() == ROWS * columns {
                let rows: [&[f32]; ROWS] = std::array::from_fn(|m| &from[m * columns..][..columns]);
                for (n, to) in to.enumerate().take(columns) {
                    let to = &mut to[index * ROWS..][..ROWS];
                    (0..ROWS).for_each(|m| to[m] = rows[m][n]);
                }
            } else {
                for (n, to) in to.enumerate().take(columns) {
                    let column = from.iter().skip(n).step_by(columns);
                    to[index * ROWS..].iter_mut().zip(column).for_each(|(to, from)| *to = *from);
                }
            }
        }
    });
}
