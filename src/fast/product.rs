//! `out[m,n] = finish(sum over k of left(m,k) * right[k,n])`, where row m of `left` holds the elements that a window
//! covers.
//!
//! The left operand is read in place: each row consists of a few runs of contiguous elements ([`Left`]). So a
//! convolution needs no im2col matrix, and a dense layer is the special case of one run. The loops keep a tile of sums
//! in registers, `R` rows by `V` vectors of columns, and add one product to each sum for every k, in order of k, so
//! that results do not depend on the tile.
//!
//! Rejected: the crate `gemm` on an im2col matrix that is written for four to 24 rows of places at a time. On conv2 of
//! case1, forward, on one Zen 4 core with AVX-512, `gemm` alone reaches 107 to 116 GFLOP/s and these loops 110 to 115.
//! Writing the matrix adds another tenth of that time, and `gemm` needs `unsafe`.

use super::vectorized;
use crate::ops::Activation;
use pulp::{Simd, WithSimd};

/// Repeats the statements for each row of a tile of `$rows`, unrolled at compile time. The compiler may not unroll a
/// loop, and a tile that is indexed at run time is kept in memory rather than in registers, which reaches only two
/// thirds of the speed.
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

/// Elements of the widest vector; rows of right operands have a multiple of this length.
pub(crate) const LANES: usize = 16;

// ANCHOR: left
/// A matrix with a row for each place, that is, each position of a window; also `x` of [`super::outer::Outer`].
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    /// The images that the window slides over.
    pub values: &'a [f32],
    /// Number of images, and of rows and columns of places per image.
    pub places: [usize; 3],
    /// Offsets in elements from one image, row and column of places to the next.
    pub strides: [usize; 3],
    /// Number of contiguous runs of elements in a window.
    pub runs: usize,
    /// Number of elements per run.
    pub run: usize,
    /// Offset in elements from the start of one run to the next.
    pub run_stride: usize,
}
// ANCHOR_END: left

impl<'a> Left<'a> {
    /// An ordinary row-major matrix, with `stride` elements from row to row.
    pub fn rows(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Left<'a> {
        Left { values, places: [1, 1, rows], strides: [0, 0, stride], runs: 1, run: columns, run_stride: 0 }
    }

    /// Index of the first element of each row.
    fn bases(&self) -> impl Iterator<Item = usize> + use<'a> {
        let Left { places: [images, rows, columns], strides: [image, row, column], .. } = *self;
        let rows = (0..images).flat_map(move |n| (0..rows).map(move |p| n * image + p * row));
        rows.flat_map(move |first| (0..columns).map(move |q| first + q * column))
    }
}

/// The right operand: `[k, stride]`, of which the first `columns` elements of each row are used.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub values: &'a [f32],
    /// Number of columns of the product, n.
    pub columns: usize,
    /// Number of elements from row to row: at least `columns`, rounded up to a multiple of [`LANES`].
    pub stride: usize,
}

/// Whether a matrix with this number of columns can be a right operand without padding.
pub(crate) fn fits(columns: usize) -> bool {
    columns.is_multiple_of(LANES)
}

/// Copies rows of `columns` elements to rows whose length is a multiple of [`LANES`], padded with zeros.
pub(crate) fn widen(from: &[f32], columns: usize, to: &mut [f32]) {
    for (from, to) in from.chunks_exact(columns).zip(to.chunks_exact_mut(columns.next_multiple_of(LANES))) {
        to[..columns].copy_from_slice(from);
        to[columns..].fill(0.0);
    }
}

/// The operation applied to a finished sum.
#[derive(Clone, Copy)]
pub(crate) enum Finish<'a> {
    /// The sum is stored.
    Store,
    /// The sum is added to the output.
    Add,
    /// f(sum + b[n]) is stored.
    Bias(&'a [f32], Activation),
    /// sum * f'(kept * x[m,n]) is stored; `x` has the layout of the product. `kept` is 1 unless dropout followed f.
    Producer { x: &'a [f32], activation: Activation, kept: f32 },
}

/// A matrix product.
pub(crate) struct Product<'a> {
    pub left: Left<'a>,
    pub right: Right<'a>,
    /// The product, `[m, out_stride]`; the first n elements of each row are written, and the last row may end after
    /// them.
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
        // Tiles of 24 sums with 32 registers and of 10 with 16, and narrower ones at the right edge. With 12 sums and
        // 16 registers, the compiler keeps one sum in memory and loads and stores it for every k, which stalls the
        // whole tile.
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
    /// Computes all rows of `V` vectors of columns, starting at `column`; returns `V`.
    #[inline(always)]
    fn columns<S: Simd, const R: usize, const V: usize>(&mut self, simd: S, column: usize) -> usize {
        let mut bases = self.left.bases();
        let mut row = 0;
        while let Some(first) = bases.next() {
            // Rows past the end repeat the first row of the tile; their sums are not stored.
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
            // Slices of equal length, which saves the loop over k the bounds checks.
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

    /// Finishes and stores the first `rows` rows of a tile, whose first sum is at `row` and `column`.
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
            Finish::Producer { x, activation, kept } => {
                let kept = simd.splat_f32s(kept);
                for_each_row!(R, i, {
                    if i < rows {
                        let mut y: [S::f32s; V] = load(simd, &x[at(i)]);
                        for y in &mut y {
                            *y = simd.mul_f32s(*y, kept);
                        }
                        sums[i] = times_derivative(simd, sums[i], activation, y);
                    }
                });
            }
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

/// Loads `V` vectors; elements past the end are zeros.
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

/// Stores `V` vectors, as far as `to` reaches.
#[inline(always)]
pub(crate) fn store<S: Simd, const V: usize>(simd: S, to: &mut [f32], vectors: [S::f32s; V]) {
    let (whole, _) = S::as_mut_simd_f32s(to);
    if whole.len() < V {
        return store_part(simd, to, vectors);
    }
    whole[..V].copy_from_slice(&vectors);
}

/// Loads fewer elements than `V` vectors. Not inlined, because it is rarely called and long.
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

/// ReLU that propagates NaN, which a maximum would turn into 0.
#[inline(always)]
fn relu<S: Simd, const V: usize>(simd: S, mut z: [S::f32s; V]) -> [S::f32s; V] {
    let zero = simd.splat_f32s(0.0);
    for z in &mut z {
        *z = simd.select_f32s(simd.less_than_f32s(*z, zero), zero, *z);
    }
    z
}

/// `dy f'(z)`, with f' computed from y = f(z).
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

/// Transposes `[m, columns]` to `[columns, stride]`, of which the first m elements of each row are written.
pub(crate) fn transpose(team: &super::Team, from: &[f32], columns: usize, to: &mut [f32], stride: usize) {
    /// Number of rows that are read together, so that whole cache lines are written.
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
