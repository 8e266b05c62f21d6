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

use super::epilogue::{Epilogue, Sums};
use super::launch::KernelLaunch;
use super::turns::MOST_TURNS;
use super::{KernelForm, Recorder, Tile};
use crate::wgsl;
use std::ops::RangeInclusive;

/// Terms of a sum below which splitting is not worth a second pass.
const LEAST_CHUNK: usize = 64;

/// Most terms a single invocation adds.
const MOST_TERMS: usize = 3072;

// An engine's loops may take some 70 turns for four terms.
const _: () = assert!(MOST_TERMS / 4 * 70 <= MOST_TURNS);

/// Elements of partial sums that are worth a device's memory: 32 MiB.
const MOST_PARTIAL: usize = 8 << 20;

/// Rows of a staged tile that leave room for the columns in workgroup memory.
const MOST_STAGED_ROWS: usize = 256;

/// One matrix product; its address map is the file that the launch begins with.
pub(super) struct Product {
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
    /// Places are rows of the product.
    Rows,
    /// Places are summed over.
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

impl KernelLaunch<'_, '_> {
    /// Multiplies: joins an engine of the form in force to an address map whose constants are set.
    pub(super) fn multiply(mut self, product: Product) {
        let config = self.config();
        self.variant.engine = Some(config.to_string());
        let (form, tile) = (config.form, config.tile);
        match (form, product.slide) {
            (KernelForm::Sliding, Some(slide)) if slide.fits(product.k) => match slide.places {
                Places::Rows => product.sliding_rows(slide, self),
                Places::Terms => product.sliding_terms(slide, self),
            },
            (KernelForm::Sliding, _) => product.tiled(KernelForm::Subgroup, Tile::subgroup(tile.down, 4, 1), self),
            (KernelForm::Subgroup, _) => product.tiled(form, tile, self),
            (KernelForm::Staged, _) => product.tiled(form, tile.fitted(product.n / 4, MOST_STAGED_ROWS), self),
            (KernelForm::Register | KernelForm::Naive, _) => {
                product.tiled(KernelForm::Register, tile.fitted(product.n / 4, usize::MAX), self);
            }
        }
    }
}

impl Product {
    /// Tiles of any rows by any columns.
    fn tiled(&self, form: KernelForm, tile: Tile, launch: KernelLaunch<'_, '_>) {
        let across = (self.n / 4).div_ceil(tile.columns4 * tile.across);
        let down = self.m.div_ceil(tile.rows * tile.down);
        let depth = if form == KernelForm::Staged { stage_depth(tile) } else { 4 };
        let (split, chunk) = self.split(self.k, across * down, launch.config().busy_groups, depth);
        let workgroup = [("TILE_COLUMNS4", tile.columns4), ("ACROSS", tile.across), ("DOWN", tile.down)];
        let launch = match form {
            KernelForm::Staged => {
                launch.with(wgsl!("shared/matrix_staged.wgsl")).set("DEPTH", depth).set_all(workgroup)
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
        self.in_tiles([down, across], split, launch.set_all(sizes));
    }

    /// Neighbouring places are rows of a tile.
    fn sliding_rows(&self, slide: Slide, launch: KernelLaunch<'_, '_>) {
        let tile = launch.config().tile;
        // As many tiles in a run as their rows demand, and no more rows than they need.
        let tiles = slide.run.div_ceil(tile.rows);
        let rows = slide.run.div_ceil(tiles);
        let down = (self.m / slide.run * tiles).div_ceil(tile.down);
        let across = (self.n / 4).div_ceil(tile.columns4);
        let launch = slide.lanes(tile, launch.with(wgsl!("shared/matrix_sliding.wgsl"))).set("TILE_ROWS", rows);
        self.in_tiles([down, across], 1, launch);
    }

    /// Neighbouring places are terms of a sum, taken in fours.
    fn sliding_terms(&self, slide: Slide, launch: KernelLaunch<'_, '_>) {
        let tile = launch.config().tile;
        let across = (self.n / 4).div_ceil(tile.columns4);
        let down = (self.m / (4 * slide.taps)).div_ceil(tile.down);
        let fours = self.k / slide.run * slide.run.div_ceil(4);
        let (split, chunk) = self.split(4 * fours, across * down, launch.config().busy_groups, 4);
        let launch = slide.lanes(tile, launch.with(wgsl!("shared/matrix_sliding_sum.wgsl")));
        let sizes = [("SPLIT", split), ("CHUNK", chunk / 4), ("TILES_DOWN", down)];
        self.in_tiles([down, across], split, launch.set_all(sizes));
    }

    /// Adds operands and epilogue to an engine, and runs it for `down` by `across` workgroups and each of `split` parts of
    /// the sum.
    fn in_tiles(&self, [down, across]: [usize; 2], split: usize, engine: KernelLaunch<'_, '_>) {
        let groups = across * down * split;
        let launch = engine
            .with(wgsl!("shared/left.wgsl"))
            .with(wgsl!("shared/linear.wgsl"))
            .set_all([("M", self.m), ("N4", self.n / 4), ("K", self.k), ("TILES_ACROSS", across)])
            .left(self.left)
            .right(self.right);
        if split == 1 {
            launch.finish(Sums::Four, self.epilogue).writes_as("product", self.product).groups(groups);
        } else {
            let partial = split * self.m * self.n;
            let launch = launch.finish(Sums::Four, Epilogue::Nothing).writes_scratch("product", partial);
            launch.groups(groups).add_parts(split, partial, self.n, self.product, self.epilogue);
        }
    }

    // ANCHOR: split
    /// Parts of a sum of `terms`, and terms a part: enough parts to keep the device busy, and few enough terms to end.
    /// A part is a multiple of `depth`.
    fn split(&self, terms: usize, tiles: usize, busy: usize, depth: usize) -> (usize, usize) {
        let affordable = (MOST_PARTIAL / (self.m * self.n)).max(1);
        let useful = busy.div_ceil(tiles).min(terms / LEAST_CHUNK).min(affordable);
        let wanted = useful.max(terms.div_ceil(MOST_TERMS)).max(1);
        let chunk = terms.div_ceil(wanted).next_multiple_of(depth);
        (terms.div_ceil(chunk), chunk)
    }
    // ANCHOR_END: split
}

impl Slide {
    /// What both sliding engines share: the file that deals out the right operand, and constants.
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

/// Terms that fit into workgroup memory at once: 16, or 8 or 4 where the tile is large.
fn stage_depth(tile: Tile) -> usize {
    const WORKGROUP_MEMORY: usize = 16 << 10; // bytes, on every WebGPU device
    let term = 4 * (tile.rows * tile.down + 4 * tile.columns4 * tile.across);
    [16, 8].into_iter().find(|depth| depth * term <= WORKGROUP_MEMORY).unwrap_or(4)
}

impl Recorder<'_> {
    /// Adds `parts` partial results, `partial` elements of scratch in all, of a product with `columns` columns.
    fn add_parts(&mut self, parts: usize, partial: usize, columns: usize, product: &'static str, epilogue: Epilogue) {
        let vectors = self.region(product).len / 4;
        self.kernel(wgsl!("shared/matrix_reduce.wgsl"))
            .part("reduce")
            .set_all([("PARTS", parts), ("COLUMNS4", columns / 4)])
            .reads_scratch("partial", partial)
            .finish(Sums::Four, epilogue)
            .writes_as("product", product)
            .for_each(vectors);
    }

    /// `db[n] = sum over rows of dy[row,n]`, with `columns` a multiple of 4.
    pub(super) fn column_sums(&mut self, rows: usize, columns: usize) {
        // As many terms in each part as there are parts, so that neither pass is long.
        let chunk = rows.isqrt().clamp(1, MOST_TERMS);
        let parts = rows.div_ceil(chunk);
        self.kernel(wgsl!("shared/column_sums.wgsl"))
            .set_all([("ROWS", rows), ("COLUMNS4", columns / 4), ("CHUNK", chunk)])
            .left("dy")
            .writes_scratch("partial", parts * columns)
            .for_each(parts * columns / 4)
            .add_parts(parts, parts * columns, columns, "db", Epilogue::Nothing);
    }
}
