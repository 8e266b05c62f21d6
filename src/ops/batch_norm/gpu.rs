use super::{BackwardInput, BackwardWeight, Forward, Geometry, Running, Statistics};
use crate::error::Result;
use crate::ops::launch::KernelLaunch;
use crate::ops::loop_limit::check_iterations;
use crate::ops::{KernelForm, Record, Recorder};
use crate::wgsl;

/// Number of rows per invocation in kernels without sums: enough to make up for loading the values of the channels.
const ROWS: usize = 8;

/// The division of the rows of `x` into parts.
struct Walk {
    geometry: Geometry,
    /// Number of rows per part.
    chunk: usize,
    parts: usize,
}

impl Walk {
    fn new(geometry: Geometry, chunk: usize) -> Walk {
        Walk { geometry, chunk, parts: geometry.rows().div_ceil(chunk) }
    }

    /// For a sum: as many rows per part as there are parts, so that both dispatches are short.
    fn summing(geometry: Geometry) -> Result<Walk> {
        let walk = Walk::new(geometry, geometry.rows().isqrt().max(1));
        // A row or a part takes one iteration, and one more for each of at most two vectors.
        let what = format!("a batch_norm over {} rows", geometry.rows());
        check_iterations(3 * walk.chunk.max(walk.parts), &what, "smaller batches or images")?;
        Ok(walk)
    }

    /// Number of values in all parts: one per channel and part.
    fn len(&self) -> usize {
        self.parts * self.geometry.channels
    }
}

impl KernelLaunch<'_, '_> {
    /// Processes packs of channels, or single channels in the naive form and if their number is not a multiple of 4.
    fn by_channels(self, channels: usize) -> Self {
        if self.config().form == KernelForm::Naive || !channels.is_multiple_of(4) {
            self.singles()
        } else {
            self.packs(channels)
        }
    }

    /// Processes packs of channels, for the rows of a part.
    fn by_rows(self, walk: &Walk) -> Self {
        let Geometry { batch, places, channels } = walk.geometry;
        let launch = self.by_channels(channels).with(wgsl!("batch_norm/rows.wgsl")).with(wgsl!("shared/step.wgsl"));
        let columns = channels / launch.pack();
        launch.set_all([("BATCH", batch), ("PLACES", places), ("COLUMNS", columns), ("CHUNK", walk.chunk)])
    }

    /// Reads the tensor `var` under the name `variance`, because `var` is a keyword of WGSL.
    fn reads_variance(self) -> Self {
        self.reads_as("variance", "var")
    }
}

impl Record for Statistics {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let walk = Walk::summing(self.geometry)?;
        let channels = self.geometry.channels;
        to.kernel(wgsl!("batch_norm/statistics_mean.wgsl"))
            .part("mean")
            .by_rows(&walk)
            .reads("x")
            .writes_scratch("partial", walk.len())
            .for_each_pack(walk.len());
        to.kernel(wgsl!("batch_norm/statistics_mean_reduce.wgsl"))
            .part("mean_reduce")
            .by_rows(&walk)
            .set("PARTS", walk.parts)
            .reads_scratch("partial", walk.len())
            .writes("mean")
            .for_each_pack(channels);
        to.kernel(wgsl!("batch_norm/statistics_variance.wgsl"))
            .part("variance")
            .by_rows(&walk)
            .reads("x")
            .reads("mean")
            .writes_scratch("partial", walk.len())
            .for_each_pack(walk.len());
        to.kernel(wgsl!("batch_norm/statistics_variance_reduce.wgsl"))
            .part("variance_reduce")
            .by_rows(&walk)
            .set("PARTS", walk.parts)
            .set("MOMENTUM", self.momentum)
            .reads_scratch("partial", walk.len())
            .reads("mean")
            .writes_as("variance", "var")
            .writes("running_mean")
            .writes("running_var")
            .for_each_pack(channels);
        Ok(())
    }
}

impl Record for Running {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let channels = self.geometry.channels;
        to.kernel(wgsl!("batch_norm/running.wgsl"))
            .by_rows(&Walk::new(self.geometry, ROWS))
            .set("MOMENTUM", self.momentum)
            .reads("mean")
            .reads_variance()
            .writes("running_mean")
            .writes("running_var")
            .for_each_pack(channels);
        Ok(())
    }
}

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let channels = self.geometry.channels;
        to.kernel(wgsl!("batch_norm/forward_fold.wgsl"))
            .part("fold")
            .by_channels(channels)
            .set("EPSILON", self.epsilon)
            .reads("w")
            .reads("b")
            .reads("mean")
            .reads_variance()
            .writes_scratch("folded", 3 * channels)
            .for_each_pack(channels);

        let walk = Walk::new(self.geometry, ROWS);
        to.kernel(wgsl!("batch_norm/forward.wgsl"))
            .by_rows(&walk)
            .with(self.activation.source())
            .reads("x")
            .reads_scratch("folded", 3 * channels)
            .writes("y")
            .for_each_pack(walk.len());
        Ok(())
    }
}

impl Record for BackwardWeight {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let walk = Walk::summing(self.geometry)?;
        let channels = self.geometry.channels;
        to.kernel(wgsl!("batch_norm/backward_weight.wgsl"))
            .by_rows(&walk)
            .reads("x")
            .reads("dy")
            .reads("mean")
            .writes_scratch("partial", 2 * walk.len())
            .for_each_pack(walk.len());
        to.kernel(wgsl!("batch_norm/backward_weight_reduce.wgsl"))
            .part("reduce")
            .by_channels(channels)
            .set("PARTS", walk.parts)
            .set("EPSILON", self.epsilon)
            .reads_scratch("partial", 2 * walk.len())
            .reads_variance()
            .writes("dw")
            .writes("db")
            .for_each_pack(channels);
        Ok(())
    }
}

impl Record for BackwardInput {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let walk = Walk::new(self.geometry, ROWS);
        let channels = self.geometry.channels;
        to.kernel(wgsl!("batch_norm/backward_input_fold.wgsl"))
            .part("fold")
            .by_rows(&walk)
            .set("EPSILON", self.epsilon)
            .reads("w")
            .reads("mean")
            .reads_variance()
            .reads("dw")
            .reads("db")
            .writes_scratch("folded", 4 * channels)
            .for_each_pack(channels);
        to.kernel(wgsl!("batch_norm/backward_input.wgsl"))
            .by_rows(&walk)
            .with(self.producer.source())
            .reads("x")
            .reads("dy")
            .reads_scratch("folded", 4 * channels)
            .writes("dx")
            .for_each_pack(walk.len());
        Ok(())
    }
}
