use super::{BackwardInput, BackwardWeight, Forward, Geometry, Statistics};
use crate::error::Result;
use crate::gpu::{KernelSpec, Operand, Source};
use crate::ops::record::check_turns;
use crate::ops::{KernelForm, Record, Recorder, operand};
use crate::wgsl;

/// Rows of an invocation that adds nothing up: enough to be worth what it loads for its channels.
const ROWS: usize = 8;

/// How `x` is walked over.
struct Walk {
    geometry: Geometry,
    /// Rows of a part.
    chunk: usize,
    parts: usize,
}

impl Walk {
    fn new(geometry: Geometry, chunk: usize) -> Walk {
        Walk { geometry, chunk, parts: geometry.rows().div_ceil(chunk) }
    }

    /// For a sum: as many rows in a part as there are parts, so that neither dispatch is long.
    fn summing(geometry: Geometry) -> Result<Walk> {
        let walk = Walk::new(geometry, geometry.rows().isqrt().max(1));
        // A row and a part cost a turn, and one for each of at most two vectors.
        check_turns(3 * walk.chunk.max(walk.parts), "a batch_norm over so many places")?;
        Ok(walk)
    }

    /// A kernel of this pass, and the packs of a row.
    fn kernel(&self, pass: &'static Source, to: &Recorder<'_>) -> (KernelSpec, usize) {
        let (kernel, columns) = of_channels(pass, self.geometry, to);
        let kernel = kernel.with([wgsl!("batch_norm/rows.wgsl"), wgsl!("shared/step.wgsl")]);
        let sizes = [("BATCH", self.geometry.batch), ("PLACES", self.geometry.places), ("COLUMNS", columns)];
        (kernel.set_all(sizes).set("CHUNK", self.chunk), columns)
    }

    /// An invocation for each pack of channels in each part.
    fn each_part(
        &self,
        part: &str,
        pass: &'static Source,
        reads: Vec<(&'static str, Operand)>,
        writes: Vec<(&'static str, Operand)>,
        to: &mut Recorder<'_>,
    ) {
        let (kernel, columns) = self.kernel(pass, to);
        to.for_each_part(part, self.parts * columns, kernel, reads, writes);
    }
}

/// A kernel that sees packs of channels, and how many these are. The naive form takes channels one by one, as does any where
/// they are not in fours.
fn of_channels(pass: &'static Source, geometry: Geometry, to: &Recorder<'_>) -> (KernelSpec, usize) {
    let (kernel, channels) = (KernelSpec::new([pass]), geometry.channels);
    if to.config.form == KernelForm::Naive || !channels.is_multiple_of(4) {
        (kernel.with([wgsl!("shared/pack_single.wgsl")]), channels)
    } else {
        let (kernel, pack) = operand::packs(kernel, channels, to);
        (kernel, channels / pack)
    }
}

/// The tensor `var`, by another name: that is a word of the language.
fn variance(to: &Recorder<'_>) -> (&'static str, Operand) {
    ("variance", Operand::Buffer(to.region("var")))
}

impl Record for Statistics {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let walk = Walk::summing(self.geometry)?;
        let partial = ("partial", Operand::Scratch(walk.parts * self.geometry.channels));
        let (x, mean) = (to.buffer("x"), to.buffer("mean"));
        walk.each_part("mean", wgsl!("batch_norm/statistics_mean.wgsl"), vec![x], vec![partial], to);
        let (kernel, columns) = walk.kernel(wgsl!("batch_norm/statistics_mean_reduce.wgsl"), to);
        let kernel = kernel.set("PARTS", walk.parts);
        to.for_each_part("mean_reduce", columns, kernel, vec![partial], vec![mean]);

        walk.each_part("variance", wgsl!("batch_norm/statistics_variance.wgsl"), vec![x, mean], vec![partial], to);
        let (kernel, columns) = walk.kernel(wgsl!("batch_norm/statistics_variance_reduce.wgsl"), to);
        let kernel = kernel.set("PARTS", walk.parts).set("MOMENTUM", self.momentum);
        let writes = vec![variance(to), to.buffer("running_mean"), to.buffer("running_var")];
        to.for_each_part("variance_reduce", columns, kernel, vec![partial, mean], writes);
        Ok(())
    }
}

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let folded = ("folded", Operand::Scratch(3 * self.geometry.channels));
        let (kernel, columns) = of_channels(wgsl!("batch_norm/forward_fold.wgsl"), self.geometry, to);
        let reads = vec![to.buffer("w"), to.buffer("b"), to.buffer("mean"), variance(to)];
        to.for_each_part("fold", columns, kernel.set("EPSILON", self.epsilon), reads, vec![folded]);

        let walk = Walk::new(self.geometry, ROWS);
        let (kernel, columns) = walk.kernel(wgsl!("batch_norm/forward.wgsl"), to);
        let kernel = kernel.with([self.activation.source()]);
        to.for_each(walk.parts * columns, kernel, vec![to.buffer("x"), folded], vec![to.buffer("y")]);
        Ok(())
    }
}

impl Record for BackwardWeight {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let walk = Walk::summing(self.geometry)?;
        let partial = ("partial", Operand::Scratch(2 * walk.parts * self.geometry.channels));
        let reads = vec![to.buffer("x"), to.buffer("dy"), to.buffer("mean")];
        walk.each_part("", wgsl!("batch_norm/backward_weight.wgsl"), reads, vec![partial], to);

        let (kernel, columns) = of_channels(wgsl!("batch_norm/backward_weight_reduce.wgsl"), self.geometry, to);
        let kernel = kernel.set("PARTS", walk.parts).set("EPSILON", self.epsilon);
        let reads = vec![partial, variance(to)];
        to.for_each_part("reduce", columns, kernel, reads, vec![to.buffer("dw"), to.buffer("db")]);
        Ok(())
    }
}

impl Record for BackwardInput {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let walk = Walk::new(self.geometry, ROWS);
        let folded = ("folded", Operand::Scratch(4 * self.geometry.channels));
        let (kernel, columns) = walk.kernel(wgsl!("batch_norm/backward_input_fold.wgsl"), to);
        let reads = vec![to.buffer("w"), to.buffer("mean"), variance(to), to.buffer("dw"), to.buffer("db")];
        to.for_each_part("fold", columns, kernel.set("EPSILON", self.epsilon), reads, vec![folded]);

        let (kernel, columns) = walk.kernel(wgsl!("batch_norm/backward_input.wgsl"), to);
        let kernel = kernel.with([self.producer.source()]);
        let reads = vec![to.buffer("x"), to.buffer("dy"), folded];
        to.for_each(walk.parts * columns, kernel, reads, vec![to.buffer("dx")]);
        Ok(())
    }
}
