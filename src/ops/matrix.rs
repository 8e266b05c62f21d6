//! Launches the matrix engine: one loop nest in WGSL, one address map a pass.
//!
//! Forward, input gradient and weight gradient of conv2d and dense are all `product[m,n] = sum over k of left(m,k) *
//! right(k,n)`. A pass gives its address map and its epilogue; here the form, the operands' source, the tile and the
//! split of the sum are put together. The forms are engine files under the same maps: `matrix_register` (any device),
//! `matrix_subgroup` (drivers that compute on the CPU), `matrix_staged` (GPUs).

use super::{Activation, Form, Recorder, Tile, operand};
use crate::gpu::{KernelSpec, Operand};
use crate::wgsl;

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
                reads.push(to.buffer("x"));
                kernel.with([wgsl!("shared/finish_producer.wgsl"), activation.source()])
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
        let form = to.settings.form;
        let tile = match form {
            Form::Subgroup => to.settings.tile,
            Form::Staged => to.settings.tile.fitted(self.n / 4, MOST_STAGED_ROWS),
            Form::Register | Form::Naive => to.settings.tile.fitted(self.n / 4, usize::MAX),
        };
        let across = (self.n / 4).div_ceil(tile.columns4 * tile.across);
        let down = self.m.div_ceil(tile.rows * tile.down);
        let depth = if form == Form::Staged { stage_depth(tile) } else { 4 };
        let (split, chunk) = self.split(across * down, to.settings.busy_groups, depth);

        let mut reads = Vec::new();
        let mut kernel = self.map.with([wgsl!("shared/left.wgsl"), wgsl!("shared/linear.wgsl")]);
        kernel = match form {
            Form::Subgroup => kernel
                .with([wgsl!("shared/matrix_subgroup.wgsl"), wgsl!("shared/left_rows.wgsl")])
                .set_all([("LANES", tile.down), ("TILE_COLUMNS32", tile.columns4 / 8)]),
            Form::Staged => kernel.with([wgsl!("shared/matrix_staged.wgsl")]).set("DEPTH", depth),
            Form::Register | Form::Naive => {
                kernel.with([wgsl!("shared/matrix_register.wgsl"), wgsl!("shared/left_rows.wgsl")])
            }
        };
        if form != Form::Subgroup {
            let shape = [("TILE_COLUMNS4", tile.columns4), ("ACROSS", tile.across), ("DOWN", tile.down)];
            kernel = kernel.set_all(shape);
        }
        kernel = operand::left(self.left, kernel, &mut reads, to);
        kernel = operand::right(self.right, kernel, &mut reads, to);
        kernel = kernel.set_all([
            ("M", self.m),
            ("N4", self.n / 4),
            ("K", self.k),
            ("TILE_ROWS", tile.rows),
            ("SPLIT", split),
            ("CHUNK", chunk),
            ("TILES_ACROSS", across),
            ("TILES_DOWN", down),
        ]);
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

    /// Parts of the sum, and terms a part: enough parts to keep the device busy, and few enough terms to end.
    /// A part is a multiple of `depth`.
    fn split(&self, tiles: usize, busy: usize, depth: usize) -> (usize, usize) {
        let affordable = (MOST_PARTIAL / (self.m * self.n)).max(1);
        let useful = busy.div_ceil(tiles).min(self.k / LEAST_CHUNK).min(affordable);
        let wanted = useful.max(self.k.div_ceil(MOST_TERMS)).max(1);
        let chunk = self.k.div_ceil(wanted).next_multiple_of(depth);
        (self.k.div_ceil(chunk), chunk)
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
