//! A small model of a GPU, which orders the candidates of a pass before any is timed: there is time for a few only.
//!
//! It counts what the staged form of the matrix engine has to issue: multiplications, loads from workgroup memory, the
//! staging of operands, barriers. It knows that a multiprocessor needs several subgroups to be busy, that the last round
//! of workgroups may leave most of them idle, and that a split sum costs a second dispatch. Its times are rough; only
//! their order is used.

use crate::gpu::{Constant, Dispatch, Recording};

/// Numbers of multiprocessors for which the model computes times, because wgpu does not say how many a device has: those
/// of an integrated, a laptop's and a data centre's GPU.
const WIDTHS: [f64; 3] = [16.0, 48.0, 132.0];

/// Invocations that run as one.
const SUBGROUP: f64 = 32.0;

/// Subgroups that a multiprocessor issues instructions of at once.
const ISSUED: f64 = 4.0;

/// Subgroups that a multiprocessor needs to hide the latency of an instruction behind others.
const BUSY: f64 = 8.0;

/// Registers of a multiprocessor.
const REGISTERS: f64 = 65_536.0;

/// Cost of a load of a vec4 from workgroup memory, in multiplications of a subgroup.
const SHARED_LOAD: f64 = 4.0;

/// Cost of moving a vec4 from a storage to workgroup memory: address, load and store.
const STAGED_LOAD: f64 = 16.0;

/// Cost of a barrier.
const BARRIER: f64 = 40.0;

/// Cycles of a dispatch, however small.
const LAUNCH: f64 = 7_000.0;

/// Bytes that each multiprocessor reads or writes per cycle.
const BYTES: f64 = 12.0;

/// The estimated cycles of a pass on GPUs of each of the [`WIDTHS`].
pub(super) type Cycles = [f64; WIDTHS.len()];

/// The estimated cycles of a pass; `None` if it is not in the staged form.
pub(super) fn cycles(recording: &Recording) -> Option<Cycles> {
    let is_staged = |dispatch: &&Dispatch| {
        dispatch.kernel.sources.iter().any(|source| source.path.ends_with("/matrix_staged.wgsl"))
    };
    let kernel = &recording.dispatches().find(is_staged)?.kernel;
    let constant = |wanted: &str| {
        kernel.constants.iter().find_map(|(name, value)| match value {
            Constant::U32(value) if *name == wanted => Some(f64::from(*value)),
            _ => None,
        })
    };
    let (m, n4) = (constant("M")?, constant("N4")?);
    let (rows, columns4) = (constant("TILE_ROWS")?, constant("TILE_COLUMNS4")?);
    let (across, down) = (constant("ACROSS")?, constant("DOWN")?);
    let (depth, buffers) = (constant("DEPTH")?, constant("BUFFERS")?);
    let (split, chunk) = (constant("SPLIT")?, constant("CHUNK")?);
    let tiles = constant("TILES_ACROSS")? * constant("TILES_DOWN")?;

    let invocations = across * down;
    let [left4, right4] = [rows / 4.0 * down, columns4 * across];
    let multiplications = 4.0 * rows * columns4;
    let loads = SHARED_LOAD * (rows / 4.0 + columns4) + STAGED_LOAD * (left4 + right4) / invocations;
    let issued = multiplications + loads + BARRIER * (3.0 - buffers) / depth; // a term of an invocation

    let subgroups = (invocations / SUBGROUP).ceil();
    let pieces = [left4, right4].map(|block4| (block4 * depth / 4.0 / invocations).ceil());
    let registers = 4.0 * rows * columns4 + 16.0 * (pieces[0] + pieces[1]) + 40.0;
    let resident = (REGISTERS / (registers * invocations)).floor().max(1.0);
    Some(WIDTHS.map(|width| {
        // Workgroups of the multiprocessor that has the most of them.
        let groups = (tiles * split / width).ceil();
        let busy = (groups.min(resident) * subgroups / BUSY).min(1.0);
        let product = groups * subgroups / ISSUED * chunk * issued / busy;
        let partial = 2.0 * 16.0 * split * m * n4 / (BYTES * width);
        product + if split > 1.0 { LAUNCH + partial } else { 0.0 }
    }))
}

/// The order in which to try candidates with these times, the most promising first: the time relative to the best is
/// averaged over all widths. Candidates without a time come last.
pub(super) fn order(times: &[Option<Cycles>]) -> Vec<usize> {
    let best = |width: usize| times.iter().flatten().map(|times| times[width]).fold(f64::INFINITY, f64::min);
    let bests = [best(0), best(1), best(2)];
    let score = |at: &usize| {
        times[*at].map_or(f64::INFINITY, |times| times.iter().zip(bests).map(|(time, best)| time / best).sum())
    };
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by(|a, b| score(a).total_cmp(&score(b)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{CompileOptions, Network};
    use crate::ops::{self, KernelConfig};
    use crate::tune::candidates_from;

    /// The tiles of the candidates for a pass of `case1` in batches of 100, in the order of the model.
    fn ordered(label: &str) -> Vec<String> {
        let options = CompileOptions { batch: 100, train_images: 1000, ..CompileOptions::default() };
        let compiled = Network::open("case1").unwrap().compile(&options).unwrap();
        let pass = compiled.train.iter().find(|pass| pass.label == label).unwrap();
        let candidates = candidates_from(KernelConfig::hardware());
        let times = candidates.iter().map(|config| {
            let mut recording = Recording::new();
            ops::record(&compiled.plan, pass, config, &mut recording).unwrap();
            cycles(&recording)
        });
        let order = order(&times.collect::<Vec<_>>());
        let names: Vec<String> = order.into_iter().map(|at| candidates[at].to_string()).collect();
        println!("{label}: {names:#?}");
        names
    }

    #[test]
    fn the_order_follows_the_shape_of_the_product() {
        let place = |names: &[String], tile: &str| names.iter().position(|name| name.contains(tile)).unwrap();
        // 100 rows: tiles of 128 rows compute 28 for nothing.
        let dense = ordered("dense1.forward");
        assert!(place(&dense, "100x64").min(place(&dense, "52x64")) < place(&dense, "128x64"), "{dense:?}");
        // 288 rows are three tiles of 96, or four and a half of 64.
        let weight = ordered("conv2.backward_weight");
        assert!(place(&weight, "96x64") < place(&weight, "64x64"), "{weight:?}");
        // 4 x 4 sums an invocation need too many loads.
        let input = ordered("conv2.backward_input");
        assert!(place(&input, "32x32 (4x4 each)") > 2, "{input:?}");
        // The register form has no time, and comes last.
        assert!(dense.last().unwrap().starts_with("register"), "{dense:?}");
    }
}
