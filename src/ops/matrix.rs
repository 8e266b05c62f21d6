//! The matrix engine: a shared loop nest in WGSL, combined with an address map for each pass.
//!
//! Forward pass, input gradient and weight gradient of conv2d and dense are all `product[m,n] = sum over k of left(m,k)
//! * right(k,n)`. A pass supplies its address map and its epilogue; this module combines them with the form, the source
//! of the operands, the tile and the split of the sum. The forms are engine files that work with the same maps:
//! `matrix_register` (any device), `matrix_subgroup` and `matrix_sliding` (software drivers), `matrix_staged` (GPUs).
//!
//! The staged form multiplies from workgroup memory, with two buffers in turns where they fit ([`stages`]), and sums
//! the columns of the right operand along with the product ([`Product::bias`]). Its parts of sums are added in trees.
//! For the other forms column sums are dispatches of their own, and parts are added one after the other.
//!
//! On a CPU, the tile must be small. An iteration of the subgroup form with 8x32 sums per lane has about 5,000
//! instructions, or 28 KiB, which must be decoded again every time; an iteration of the sliding form fits in the cache
//! of decoded instructions. Speedups of single changes over the previous 8x32 form, on conv2 of `case1` (Mesa 22.3.6,
//! one core of a Zen 3 with two threads, interleaved runs):
//!
//! - reading the bias once per column instead of once per output: 1.1 to 1.2, and half the compile time;
//! - sliding forward pass, 8 to 12 places by 8 columns: 1.25 to 1.4; with 16 or 32 columns: 1.1;
//! - sliding input gradient, 13 places by 8 columns: 1.25 with `x` from its mirror, 1.05 to 1.2 with `x` from the
//!   buffer;
//! - sliding weight gradient, 12 rows by 8 columns: 1.4 to 1.5; by 16 columns: 1.3 to 1.4; with eight places per
//!   iteration: 1.3.
//!
//! Rejected, with the speed relative to the version without the change:
//!
//! - all columns of a row before the next row, so that sums stay in registers: 1.02;
//! - computing one vector component of the sums at a time: 0.9;
//! - one statement per tap instead of a single expression: 0.65, because every intermediate value is spilled.
//!
//! Products of dense layers have no windows to share loads between. For them 4x32 is as fast as 8x32, and it compiles
//! in half the time.

use super::dropout::Mask;
use super::epilogue::{Epilogue, Sums};
use super::launch::KernelLaunch;
use super::loop_limit::MOST_ITERATIONS;
use super::pool2d;
use super::{Activation, KernelConfig, KernelForm, Recorder, Tile};
use crate::wgsl;
use std::ops::RangeInclusive;

/// Least number of terms per part for which splitting a sum is worth a second pass.
const LEAST_CHUNK: usize = 64;

/// Least number of parts into which the staged form splits a sum to keep a GPU busy.
const LEAST_PARTS: usize = 4;

/// Largest number of terms that a single invocation adds.
pub(super) const MOST_TERMS: usize = 3072;

// The loops of an engine may take about 70 iterations for four terms.
const _: () = assert!(MOST_TERMS / 4 * 70 <= MOST_ITERATIONS);

/// Largest number of elements of partial sums: 32 MiB.
const MOST_PARTIAL: usize = 8 << 20;

/// Largest number of invocations that share a sum in the reductions of GPUs.
const MOST_LANES: usize = 64;

/// Number of rows of a matrix that an invocation of a GPU may add one after the other, if that saves a dispatch.
const SERIAL_ROWS: usize = 32;

/// One matrix product; its address map is the first file of the launch.
pub(super) struct Product {
    /// Number of rows of the product.
    pub m: usize,
    /// Number of columns of the product, a multiple of 4.
    pub n: usize,
    /// Number of terms per sum.
    pub k: usize,
    /// Name of the left operand's tensor, whose length is a multiple of 4.
    pub left: &'static str,
    /// Name of the right operand's tensor.
    pub right: &'static str,
    /// Name of the tensor that is written.
    pub product: &'static str,
    /// The operation applied to each sum.
    pub epilogue: Epilogue,
    /// Name of the tensor that gets the column sums of the right operand, the gradient of the biases, if there is one.
    /// The epilogue must be [`Epilogue::Nothing`] then.
    pub bias: Option<&'static str>,
    /// How windows at adjacent positions overlap, if they do.
    pub slide: Option<Slide>,
    /// What becomes of every four rows, for the staged form; by default each is stored.
    pub rows: Rows,
}

/// What becomes of the finished rows of a product.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Rows {
    /// Each is stored, after its epilogue.
    #[default]
    Each,
    /// Every four rows are the places of a pooling window, of which one value is stored for each column: the extreme of
    /// f(sum + b), after dropout if there is one. Its position goes to the tensor `m`. The sum is not split.
    Pooled {
        /// The kind of pooling: maximum or minimum.
        kind: pool2d::Kind,
        /// The activation f.
        activation: Activation,
        /// The elements that are dropped after pooling.
        dropout: Option<Mask>,
    },
}

/// The left operand of a convolution with a horizontal stride of 1. A place is a position of the window, and a tap is a
/// column of it: place q reads at tap s + 1 what place q + 1 reads at tap s.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slide {
    /// The dimension of the product along which places lie.
    pub places: Places,
    /// Number of places per row of the output image.
    pub run: usize,
    /// Number of taps, the columns of the window.
    pub taps: usize,
    /// Number of channels per tap, in vec4.
    pub tap4: usize,
}

/// The dimension of a product along which the places of a convolution lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// Places are rows of the product.
    Rows,
    /// Places are terms of the sums.
    Terms,
}

impl Slide {
    /// Numbers of taps for which unrolling the loops over them is worthwhile.
    const TAPS: RangeInclusive<usize> = 2..=5;

    /// Whether the sliding form can compute a product with sums of `k` terms.
    fn fits(&self, k: usize) -> bool {
        Slide::TAPS.contains(&self.taps)
            && match self.places {
                // This form does not split sums.
                Places::Rows => k <= MOST_TERMS,
                Places::Terms => self.run >= 4,
            }
    }
}

impl KernelLaunch<'_, '_> {
    /// Joins an engine of the configured form to an address map, whose constants are set already, and records the
    /// product. The staged form computes the column sums of the right operand along with it; for the other forms they
    /// are dispatches of their own.
    pub(super) fn multiply(mut self, product: Product) {
        let config = self.config();
        self.variant.engine = Some(config.to_string());
        let (form, tile) = (config.form, config.tile);
        let to = match (form, product.slide) {
            (KernelForm::Sliding, Some(slide)) if slide.fits(product.k) => match slide.places {
                Places::Rows => product.sliding_rows(slide, self),
                Places::Terms => product.sliding_terms(slide, self),
            },
            (KernelForm::Sliding, _) => product.tiled(KernelForm::Subgroup, Tile::subgroup(tile.down, 4, 1), self),
            (KernelForm::Subgroup, _) => product.tiled(form, tile, self),
            (KernelForm::Staged, _) => product.tiled(form, tile.staged(product.n / 4), self),
            (KernelForm::Register | KernelForm::Naive, _) => {
                product.tiled(KernelForm::Register, tile.fitted(product.n / 4), self)
            }
        };
        if let Some(bias) = product.bias
            && form != KernelForm::Staged
        {
            to.part("bias", |to| to.sum_columns(product.right, [product.k, product.n], bias));
        }
    }
}

impl Product {
    /// Records a product in tiles of arbitrary rows by arbitrary columns.
    fn tiled<'r, 'a>(&self, form: KernelForm, tile: Tile, launch: KernelLaunch<'r, 'a>) -> &'r mut Recorder<'a> {
        let across = (self.n / 4).div_ceil(tile.columns4 * tile.across);
        let down = self.m.div_ceil(tile.rows * tile.down);
        let (depth, buffers) = if form == KernelForm::Staged { stages(tile, launch.config().memory) } else { (4, 1) };
        let (split, chunk) = match self.rows {
            Rows::Each => self.split(self.k, across * down, launch.config(), depth),
            Rows::Pooled { .. } => (1, self.k.next_multiple_of(depth)),
        };
        let workgroup = [("TILE_COLUMNS4", tile.columns4), ("ACROSS", tile.across), ("DOWN", tile.down)];
        let launch = match form {
            KernelForm::Staged => {
                let stages = [("DEPTH", depth), ("BUFFERS", buffers)];
                launch.with(wgsl!("shared/matrix_staged.wgsl")).set_all(stages).set_all(workgroup)
            }
            KernelForm::Subgroup => launch
                .with(wgsl!("shared/matrix_subgroup.wgsl"))
                .with(wgsl!("shared/left_rows.wgsl"))
                .with(wgsl!("shared/right_lanes.wgsl"))
                .set_all([("LANES", tile.down), ("BROAD4", 8), ("TILE_COLUMNS32", tile.columns4 / 8)]),
            KernelForm::Register | KernelForm::Sliding | KernelForm::Naive => launch
                .with(wgsl!("shared/matrix_register.wgsl"))
                .with(wgsl!("shared/left_rows.wgsl"))
                .set_all(workgroup),
        };
        let sizes = [("TILE_ROWS", tile.rows), ("CHUNK", chunk), ("SPLIT", split), ("TILES_DOWN", down)];
        let launch = launch.set_all(sizes);
        if form == KernelForm::Staged {
            self.staged([down, across], split, launch)
        } else {
            self.in_tiles([down, across], split, launch)
        }
    }

    /// Records a product in the sliding form, where adjacent places are rows of a tile.
    fn sliding_rows<'r, 'a>(&self, slide: Slide, launch: KernelLaunch<'r, 'a>) -> &'r mut Recorder<'a> {
        let tile = launch.config().tile;
        // The fewest tiles that cover a run, with no more rows than they need.
        let tiles = slide.run.div_ceil(tile.rows);
        let rows = slide.run.div_ceil(tiles);
        let down = (self.m / slide.run * tiles).div_ceil(tile.down);
        let across = (self.n / 4).div_ceil(tile.columns4);
        let launch = slide.lanes(tile, launch.with(wgsl!("shared/matrix_sliding.wgsl"))).set("TILE_ROWS", rows);
        self.in_tiles([down, across], 1, launch)
    }

    /// Records a product in the sliding form, where adjacent places are terms of a sum, taken four at a time.
    fn sliding_terms<'r, 'a>(&self, slide: Slide, launch: KernelLaunch<'r, 'a>) -> &'r mut Recorder<'a> {
        let tile = launch.config().tile;
        let across = (self.n / 4).div_ceil(tile.columns4);
        let down = (self.m / (4 * slide.taps)).div_ceil(tile.down);
        let fours = self.k / slide.run * slide.run.div_ceil(4);
        let (split, chunk) = self.split(4 * fours, across * down, launch.config(), 4);
        let launch = slide.lanes(tile, launch.with(wgsl!("shared/matrix_sliding_sum.wgsl")));
        let sizes = [("SPLIT", split), ("CHUNK", chunk / 4), ("TILES_DOWN", down)];
        self.in_tiles([down, across], split, launch.set_all(sizes))
    }

    /// Adds operands and epilogue to an engine and runs `down` by `across` workgroups for each of `split` parts of the
    /// sum.
    fn in_tiles<'r, 'a>(
        &self,
        [down, across]: [usize; 2],
        split: usize,
        engine: KernelLaunch<'r, 'a>,
    ) -> &'r mut Recorder<'a> {
        let groups = across * down * split;
        let launch = self.with_operands(across, engine);
        if split == 1 {
            launch.finish(Sums::Four, self.epilogue).writes_as("product", self.product).groups(groups)
        } else {
            let partial = split * self.m * self.n;
            let launch = launch.finish(Sums::Four, Epilogue::Nothing).writes_scratch("product", partial);
            launch.groups(groups).add_parts(split, partial, self.n, self.product, self.epilogue)
        }
    }

    /// Like [`Product::in_tiles`], for the staged form, which also sums the columns of the right operand.
    fn staged<'r, 'a>(&self, tiles: [usize; 2], split: usize, engine: KernelLaunch<'r, 'a>) -> &'r mut Recorder<'a> {
        let [down, across] = tiles;
        let groups = across * down * split;
        if let Rows::Pooled { kind, activation, dropout } = self.rows {
            return self
                .with_operands(across, engine)
                .with(wgsl!("shared/bias_nothing.wgsl"))
                .with(wgsl!("conv2d/rows_pooled.wgsl"))
                .with(wgsl!("pool2d/kind.wgsl"))
                .set("KIND", kind as usize)
                .with(activation.source())
                .drops(dropout)
                .reads("b")
                .writes_as("product", self.product)
                .writes_as("places", "m")
                .groups(groups);
        }
        let engine = engine.with(wgsl!("shared/rows_each.wgsl"));
        let Some(bias) = self.bias else {
            return self.in_tiles(tiles, split, engine.with(wgsl!("shared/bias_nothing.wgsl")));
        };
        let launch = self.with_operands(across, engine).finish(Sums::Four, Epilogue::Nothing);
        if split == 1 {
            let launch = launch.with(wgsl!("shared/bias_tensor.wgsl"));
            launch.writes_as("product", self.product).writes_as("bias", bias).groups(groups)
        } else {
            let sums = (self.m + 1) * self.n;
            let launch = launch.with(wgsl!("shared/bias_row.wgsl")).writes_scratch("product", split * sums);
            launch.groups(groups).add_weight_parts(split, sums, [self.product, bias])
        }
    }

    /// Adds the operands and their sizes to an engine.
    fn with_operands<'r, 'a>(&self, across: usize, engine: KernelLaunch<'r, 'a>) -> KernelLaunch<'r, 'a> {
        engine
            .with(wgsl!("shared/left.wgsl"))
            .with(wgsl!("shared/linear.wgsl"))
            .set_all([("M", self.m), ("N4", self.n / 4), ("K", self.k), ("TILES_ACROSS", across)])
            .left(self.left)
            .right(self.right)
    }

    // ANCHOR: split
    /// The number of parts to split a sum of `terms` terms into, and the number of terms per part, a multiple of
    /// `depth`: enough parts to keep the device busy and to stay below [`MOST_TERMS`].
    fn split(&self, terms: usize, tiles: usize, config: &KernelConfig, depth: usize) -> (usize, usize) {
        let affordable = (MOST_PARTIAL / (self.m * self.n)).max(1);
        let useful = config.busy_groups.div_ceil(tiles).min(terms / LEAST_CHUNK).min(affordable);
        // On a GPU the dispatch that adds the parts takes longer than a few hundred terms.
        let useful = if config.form == KernelForm::Staged && useful < LEAST_PARTS { 1 } else { useful };
        let wanted = useful.max(terms.div_ceil(MOST_TERMS)).max(1);
        let chunk = terms.div_ceil(wanted).next_multiple_of(depth);
        (terms.div_ceil(chunk), chunk)
    }
    // ANCHOR_END: split
}

impl Slide {
    /// Adds what both sliding engines share: the file that distributes the right operand among lanes, and constants.
    fn lanes<'r, 'a>(&self, tile: Tile, launch: KernelLaunch<'r, 'a>) -> KernelLaunch<'r, 'a> {
        launch.with(wgsl!("shared/right_lanes.wgsl")).set_all([
            ("RUN", self.run),
            ("TAPS", self.taps),
            ("TAP4", self.tap4),
            ("TILE_COLUMNS4", tile.columns4),
            ("BROAD4", tile.columns4),
            ("LANES", tile.down),
        ])
    }
}

// ANCHOR: stages
/// The number of terms of a staged tile that are in workgroup memory at once, and the number of buffers for them. Two
/// buffers in turns need one barrier for these terms instead of two. An invocation loads at most one piece of each
/// operand ahead: more would take registers from the sums.
fn stages(tile: Tile, memory: usize) -> (usize, usize) {
    let blocks4 = [tile.rows / 4 * tile.down, tile.columns4 * tile.across];
    // As in matrix_staged.wgsl, for operands that are read along k.
    let gap = |block4: usize, depth: usize| (32 / depth + 8 - 4 * block4 % 8) % 8;
    let fits = |&(depth, buffers): &(usize, usize)| {
        let fours = blocks4.map(|block4| 4 * block4 + gap(block4, depth));
        let bytes = 16 * buffers * (depth / 4) * (fours[0] + fours[1]);
        let pieces = blocks4.map(|block4| block4 * depth / 4);
        bytes <= memory && pieces.iter().all(|pieces| *pieces <= tile.across * tile.down)
    };
    [(32, 2), (16, 2), (8, 2), (8, 1), (4, 2)].into_iter().find(fits).unwrap_or((4, 1))
}
// ANCHOR_END: stages

impl<'a> Recorder<'a> {
    /// Records the sum of `parts` partial results of a product with `columns` columns, which occupy `partial` elements
    /// of scratch memory.
    fn add_parts(
        &mut self,
        parts: usize,
        partial: usize,
        columns: usize,
        product: &'static str,
        epilogue: Epilogue,
    ) -> &mut Self {
        let vectors = self.region(product).len / 4;
        if let Some(lanes) = self.lanes(parts, vectors) {
            let launch = self.tree(parts, lanes, vectors).part("reduce").reads_scratch("partial", partial);
            let launch = launch.with(wgsl!("shared/reduced_product.wgsl")).set("COLUMNS4", columns / 4);
            launch.finish(Sums::Four, epilogue).writes_as("product", product).groups(tree_groups(lanes, vectors));
            return self;
        }
        self.kernel(wgsl!("shared/matrix_reduce.wgsl"))
            .part("reduce")
            .set_all([("PARTS", parts), ("COLUMNS4", columns / 4)])
            .reads_scratch("partial", partial)
            .finish(Sums::Four, epilogue)
            .writes_as("product", product)
            .for_each(vectors);
        self
    }

    /// Records the sum of `parts` partial results of a weight gradient and a bias gradient, which lie together in
    /// scratch memory: `sums` elements for each part, those of the weights first.
    pub(super) fn add_weight_parts(&mut self, parts: usize, sums: usize, [dw, db]: [&'static str; 2]) -> &mut Self {
        let (vectors, weights) = (sums / 4, self.region(dw).len / 4);
        if let Some(lanes) = self.lanes(parts, vectors) {
            let launch = self.tree(parts, lanes, vectors).part("reduce").reads_scratch("partial", parts * sums);
            let launch = launch.with(wgsl!("shared/reduced_weights.wgsl")).set("WEIGHTS4", weights);
            launch.writes_as("dw", dw).writes_as("db", db).groups(tree_groups(lanes, vectors));
            return self;
        }
        self.kernel(wgsl!("shared/weight_reduce.wgsl"))
            .part("reduce")
            .set_all([("PARTS", parts), ("WEIGHTS4", weights)])
            .reads_scratch("partial", parts * sums)
            .writes_as("dw", dw)
            .writes_as("db", db)
            .for_each(vectors);
        self
    }

    /// The number of invocations that share a sum in a reduction of `parts` parts of `vectors` vec4, if it should be a
    /// tree. Software drivers are faster with one invocation for each sum.
    fn lanes(&self, parts: usize, vectors: usize) -> Option<usize> {
        /// Number of parts that an invocation may add one after the other.
        const SERIAL: usize = 8;
        /// Number of sums that keep a GPU busy with one invocation each.
        const BUSY: usize = 1 << 16;
        let lanes = parts.div_ceil(SERIAL).next_power_of_two().min(MOST_LANES);
        (self.config.form == KernelForm::Staged && vectors < BUSY && lanes > 1).then_some(lanes)
    }

    /// Starts a reduction of `parts` parts of `vectors` vec4, in which `lanes` invocations share a sum.
    fn tree(&mut self, parts: usize, lanes: usize, vectors: usize) -> KernelLaunch<'_, 'a> {
        let launch = self.kernel(wgsl!("shared/matrix_reduce_tree.wgsl")).with(wgsl!("shared/linear.wgsl"));
        launch.set_all([("PARTS", parts), ("LANES", lanes), ("SUMS", vectors)])
    }

    /// Records `sums[n] = sum over m of matrix[m,n]`; the number of columns must be a multiple of 4.
    fn sum_columns(&mut self, matrix: &'static str, [rows, columns]: [usize; 2], sums: &'static str) {
        let columns4 = columns / 4;
        if let Some(lanes) = self.lanes(rows, columns4).filter(|_| rows <= MOST_LANES * SERIAL_ROWS) {
            // The rows are the parts of the sum themselves.
            let launch = self.tree(rows, lanes, columns4).reads_as("partial", matrix);
            let launch = launch.with(wgsl!("shared/reduced_product.wgsl")).set("COLUMNS4", columns4);
            let launch = launch.finish(Sums::Four, Epilogue::Nothing).writes_as("product", sums);
            launch.groups(tree_groups(lanes, columns4));
            return;
        }
        // As many terms per part as the invocations of the second pass add, so that both passes are short.
        let shared = if self.config.form == KernelForm::Staged { MOST_LANES } else { 1 };
        let chunk = (rows / shared).isqrt().clamp(1, MOST_TERMS);
        let parts = rows.div_ceil(chunk);
        self.kernel(wgsl!("shared/column_sums.wgsl"))
            .set_all([("ROWS", rows), ("COLUMNS4", columns4), ("CHUNK", chunk)])
            .left(matrix)
            .writes_scratch("partial", parts * columns)
            .for_each(parts * columns4)
            .add_parts(parts, parts * columns, columns, sums, Epilogue::Nothing);
    }
}

/// Number of workgroups of a reduction in which `lanes` invocations share each of `vectors` sums.
fn tree_groups(lanes: usize, vectors: usize) -> usize {
    const INVOCATIONS: usize = 256; // as in matrix_reduce_tree.wgsl
    vectors.div_ceil(INVOCATIONS / lanes)
}
