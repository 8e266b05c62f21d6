//! Launches the matrix engine: one loop nest in WGSL, one address map a pass.
//!
//! Forward, input gradient and weight gradient of conv2d and dense are all `product[m,n] = sum over k of left(m,k) *
//! right(k,n)`. A pass gives its address map and its epilogue; here the form, the operands' source, the tile and the
//! split of the sum are put together. The forms are engine files under the same maps: `matrix_register` (any device),
//! `matrix_subgroup` and `matrix_sliding` (drivers that compute on the CPU), `matrix_staged` (GPUs).
//!
//! On a CPU the tile must be small. A turn of the subgroup form with 8x32 sums a lane is some 5,000 instructions, 28 KiB, and
//! has to be decoded anew each time; the sliding form's fits the cache of decoded instructions. Each alone, on conv2 of
//! `case1` (Mesa 22.3.6, one core of a Zen 3 with two threads, interleaved, as a share of the 8x32 form before):
//!
//! - the bias read once a column instead of once an output: 1.1 to 1.2 times as fast, and half the time to compile;
//! - sliding forward, 8 to 12 places by 8 columns: 1.25 to 1.4; with 16 or 32 columns 1.1;
//! - sliding input gradient, 13 by 8, `x` from its mirror: 1.25; from the buffer 1.05 to 1.2;
//! - sliding weight gradient, 12 rows by 8 columns: 1.4 to 1.5; by 16 columns 1.3 to 1.4; eight places a turn 1.3.
//!
//! What did not pay: all columns of a row before the next row, so that sums stay in registers (1.02), sums one component
//! at a time (0.9), the taps as three statements on one sum (0.65: every intermediate is spilled). Dense products have no
//! windows to share; 4x32 is as fast for them as 8x32, and compiles in half the time.

use super::{Activation, KernelForm, Recorder, Tile, operand};
use crate::gpu::{KernelSpec, Operand};
use crate::wgsl;
use std::ops::RangeInclusive;

/// Terms of a sum below which splitting is not worth a second pass.
const LEAST_CHUNK: usize = 64;

/// Most terms a single invocation adds. llvmpipe ends loops silently when an invocation has gone round 65,535 times in
/// all of its loops together; an engine loop may go round some 70 times for four terms.
const MOST_TERMS: usize = 3072;

/// Elements of partial sums that are worth a device's memory: 32 MiB.
const MOST_PARTIAL: usize = 8 << 20;

/// Rows of a staged tile that leave room for the columns in workgroup memory.
const MOST_STAGED_ROWS: usize = 256;

/// What becomes of a finished sum.
#[derive(Clone, Copy, Debug)]
pub(super) enum Epilogue {
    /// It is stored.
    Nothing,
    /// f(sum + b)
    Bias(Activation),
    /// sum * f'(x)
    Producer(Activation),
}

/// One matrix product.
pub(super) struct Product {
    /// The address map, its constants set.
    pub map: KernelSpec,
    /// Rows of the product.
    pub m: usize,
    /// Columns, a multiple of 4.
    pub n: usize,
    /// Terms of a sum.
    pub k: usize,
    /// Name of the tensor on the left; its length is a multiple of 4.
    pub left: &'static str,
    /// Name of the tensor on the right.
    pub right: &'static str,
    /// Name of the tensor that is written.
    pub product: &'static str,
    /// What becomes of each sum.
    pub epilogue: Epilogue,
    /// Whether neighbours read the same elements on the left.
    pub slide: Option<Slide>,
}

/// The left operand of a convolution whose stride along the rows of the image is 1: place q under tap s reads what place
/// q + 1 reads under the tap before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slide {
    /// What neighbouring places are.
    pub places: Places,
    /// Neighbouring places in a row of the image.
    pub run: usize,
    /// Columns of the window.
    pub taps: usize,
    /// Vec4 of channels below a tap.
    pub tap4: usize,
}

/// Where the places of a convolution are found in its product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// They are its rows.
    Rows,
    /// They are summed over.
    Terms,
}

impl Slide {
    /// Taps for which the loops over them are worth unrolling.
    const TAPS: RangeInclusive<usize> = 2..=5;

    /// Whether the sliding form can compute a product with sums of `k` terms.
    fn fits(&self, k: usize) -> bool {
        Slide::TAPS.contains(&self.taps)
            && match self.places {
                // It does not split sums.
                Places::Rows => k <= MOST_TERMS,
                Places::Terms => self.run >= 4,
            }
    }
}

impl Epilogue {
    /// Appends the files and operands to a kernel that calls `finish`.
    pub(super) fn append(
        self,
        kernel: KernelSpec,
        reads: &mut Vec<(&'static str, Operand)>,
        to: &Recorder<'_>,
    ) -> KernelSpec {
        match self {
            Epilogue::Nothing => kernel.with([wgsl!("shared/finish_nothing.wgsl")]),
            Epilogue::Bias(activation) => {
                reads.push(to.buffer("b"));
                kernel.with([wgsl!("shared/finish_bias.wgsl"), activation.source()])
            }
            Epilogue::Producer(activation) => {
                let kernel = kernel.with([wgsl!("shared/finish_producer.wgsl"), activation.source()]);
                operand::x(kernel, reads, to)
            }
        }
    }
}

impl From<Activation> for Epilogue {
    /// Of an input gradient: the activation that made the input.
    fn from(producer: Activation) -> Self {
        match producer {
            Activation::Identity => Epilogue::Nothing,
            other => Epilogue::Producer(other),
        }
    }
}

impl Product {
    pub(super) fn record(self, to: &mut Recorder<'_>) {
        let (form, tile) = (to.config.form, to.config.tile);
        match (form, self.slide) {
            (KernelForm::Sliding, Some(slide)) if slide.fits(self.k) => match slide.places {
                Places::Rows => self.sliding_rows(slide, to),
                Places::Terms => self.sliding_terms(slide, to),
            },
            (KernelForm::Sliding, _) => self.tiled(KernelForm::Subgroup, Tile::subgroup(tile.down, 4, 1), to),
            (KernelForm::Subgroup, _) => self.tiled(form, tile, to),
            (KernelForm::Staged, _) => self.tiled(form, tile.fitted(self.n / 4, MOST_STAGED_ROWS), to),
            (KernelForm::Register | KernelForm::Naive, _) => {
                self.tiled(KernelForm::Register, tile.fitted(self.n / 4, usize::MAX), to);
            }
        }
    }

    /// Tiles of any rows by any columns.
    fn tiled(&self, form: KernelForm, tile: Tile, to: &mut Recorder<'_>) {
        let across = (self.n / 4).div_ceil(tile.columns4 * tile.across);
        let down = self.m.div_ceil(tile.rows * tile.down);
        let depth = if form == KernelForm::Staged { stage_depth(tile) } else { 4 };
        let (split, chunk) = self.split(self.k, across * down, to.config.busy_groups, depth);
        let kernel = self.map.clone().set("TILE_ROWS", tile.rows).set("CHUNK", chunk);
        let kernel = kernel.set_all([("K", self.k), ("SPLIT", split), ("TILES_DOWN", down)]);
        let workgroup = [("TILE_COLUMNS4", tile.columns4), ("ACROSS", tile.across), ("DOWN", tile.down)];
        let kernel = match form {
            KernelForm::Staged => {
                kernel.with([wgsl!("shared/matrix_staged.wgsl")]).set("DEPTH", depth).set_all(workgroup)
            }
            KernelForm::Subgroup => kernel
                .with([wgsl!("shared/matrix_subgroup.wgsl"), wgsl!("shared/left_rows.wgsl")])
                .with([wgsl!("shared/right_lanes.wgsl")])
                .set_all([("LANES", tile.down), ("BROAD4", 8), ("TILE_COLUMNS32", tile.columns4 / 8)]),
            KernelForm::Register | KernelForm::Sliding | KernelForm::Naive => {
                kernel.with([wgsl!("shared/matrix_register.wgsl"), wgsl!("shared/left_rows.wgsl")]).set_all(workgroup)
            }
        };
        self.dispatch(kernel, [down, across], split, to);
    }

    /// Neighbouring places are rows of a tile.
    fn sliding_rows(&self, slide: Slide, to: &mut Recorder<'_>) {
        let tile = to.config.tile;
        // As many tiles in a run as their rows demand, and no more rows than they need.
        let tiles = slide.run.div_ceil(tile.rows);
        let rows = slide.run.div_ceil(tiles);
        let down = (self.m / slide.run * tiles).div_ceil(tile.down);
        let kernel = self.map.clone().with([wgsl!("shared/matrix_sliding.wgsl")]).set("K", self.k);
        let kernel = slide.lanes(kernel, tile).set("TILE_ROWS", rows);
        let across = (self.n / 4).div_ceil(tile.columns4);
        self.dispatch(kernel, [down, across], 1, to);
    }

    /// Neighbouring places are terms of a sum, taken in fours.
    fn sliding_terms(&self, slide: Slide, to: &mut Recorder<'_>) {
        let tile = to.config.tile;
        let across = (self.n / 4).div_ceil(tile.columns4);
        let down = (self.m / (4 * slide.taps)).div_ceil(tile.down);
        let fours = self.k / slide.run * slide.run.div_ceil(4);
        let (split, chunk) = self.split(4 * fours, across * down, to.config.busy_groups, 4);
        let kernel = self.map.clone().with([wgsl!("shared/matrix_sliding_sum.wgsl")]).set("K", self.k);
        let kernel = slide.lanes(kernel, tile).set_all([("SPLIT", split), ("CHUNK", chunk / 4), ("TILES_DOWN", down)]);
        self.dispatch(kernel, [down, across], split, to);
    }

    /// Adds operands and epilogue to an engine, and records it for `down` by `across` workgroups and each of `split` parts
    /// of the sum.
    fn dispatch(&self, engine: KernelSpec, [down, across]: [usize; 2], split: usize, to: &mut Recorder<'_>) {
        let mut reads = Vec::new();
        let kernel = engine.with([wgsl!("shared/left.wgsl"), wgsl!("shared/linear.wgsl")]).set_all([
            ("M", self.m),
            ("N4", self.n / 4),
            ("TILES_ACROSS", across),
        ]);
        let kernel = operand::left(self.left, kernel, &mut reads, to);
        let kernel = operand::right(self.right, kernel, &mut reads, to);
        let groups = across * down * split;
        if split == 1 {
            let kernel = self.epilogue.append(kernel, &mut reads, to);
            let product = ("product", Operand::Buffer(to.region(self.product)));
            to.dispatch("", groups, kernel, reads, vec![product]);
        } else {
            let partial = Operand::Scratch(split * self.m * self.n);
            let kernel = Epilogue::Nothing.append(kernel, &mut reads, to);
            to.dispatch("", groups, kernel, reads, vec![("product", partial)]);
            reduce(to, partial, split, self.n, self.product, self.epilogue);
        }
    }

    /// Parts of a sum of `terms`, and terms a part: enough parts to keep the device busy, and few enough terms to end.
    /// A part is a multiple of `depth`.
    fn split(&self, terms: usize, tiles: usize, busy: usize, depth: usize) -> (usize, usize) {
        let affordable = (MOST_PARTIAL / (self.m * self.n)).max(1);
        let useful = busy.div_ceil(tiles).min(terms / LEAST_CHUNK).min(affordable);
        let wanted = useful.max(terms.div_ceil(MOST_TERMS)).max(1);
        let chunk = terms.div_ceil(wanted).next_multiple_of(depth);
        (terms.div_ceil(chunk), chunk)
    }
}

impl Slide {
    /// The constants that both sliding engines have.
    fn lanes(&self, kernel: KernelSpec, tile: Tile) -> KernelSpec {
        kernel.with([wgsl!("shared/right_lanes.wgsl")]).set_all([
            ("RUN", self.run),
            ("TAPS", self.taps),
            ("TAP4", self.tap4),
            ("TILE_COLUMNS4", tile.columns4),
            ("BROAD4", tile.columns4),
            ("LANES", tile.down),
        ])
    }
}

/// Terms that fit into workgroup memory at once: 16, or 8 or 4 where the tile is large.
fn stage_depth(tile: Tile) -> usize {
    const WORKGROUP_MEMORY: usize = 16 << 10; // bytes, on every WebGPU device
    let term = 4 * (tile.rows * tile.down + 4 * tile.columns4 * tile.across);
    [16, 8].into_iter().find(|depth| depth * term <= WORKGROUP_MEMORY).unwrap_or(4)
}

/// Adds `parts` partial results of a product with `columns` columns.
pub(super) fn reduce(
    to: &mut Recorder<'_>,
    partial: Operand,
    parts: usize,
    columns: usize,
    product: &'static str,
    epilogue: Epilogue,
) {
    let mut reads = vec![("partial", partial)];
    let kernel = KernelSpec::new([wgsl!("shared/matrix_reduce.wgsl")]).set("PARTS", parts).set("COLUMNS4", columns / 4);
    let kernel = epilogue.append(kernel, &mut reads, to);
    let region = to.region(product);
    to.for_each_part("reduce", region.len / 4, kernel, reads, vec![("product", Operand::Buffer(region))]);
}

/// `db[n] = sum over rows of dy[row,n]`, with `columns` a multiple of 4.
pub(super) fn record_column_sums(to: &mut Recorder<'_>, rows: usize, columns: usize) {
    // As many terms in each part as there are parts, so that neither pass is long.
    let chunk = rows.isqrt().clamp(1, MOST_TERMS);
    let parts = rows.div_ceil(chunk);
    let partial = Operand::Scratch(parts * columns);
    let kernel = KernelSpec::new([wgsl!("shared/column_sums.wgsl")]).set_all([
        ("ROWS", rows),
        ("COLUMNS4", columns / 4),
        ("CHUNK", chunk),
    ]);
    let mut reads = Vec::new();
    let kernel = operand::left("dy", kernel, &mut reads, to);
    to.for_each(parts * columns / 4, kernel, reads, vec![("partial", partial)]);
    reduce(to, partial, parts, columns, "db", Epilogue::Nothing);
}
