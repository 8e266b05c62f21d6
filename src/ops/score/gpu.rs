use super::Score;
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Score {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let kernel = KernelSpec::new([wgsl!("score/score.wgsl"), wgsl!("shared/step.wgsl")]).set("BATCH", self.batch);
        let reads = vec![to.buffer("loss"), to.buffer("prediction"), to.buffer("targets")];
        let writes = vec![to.buffer("losses"), to.buffer("correct"), to.buffer("predictions")];
        to.single_group(kernel, reads, writes);
        Ok(())
    }
}
