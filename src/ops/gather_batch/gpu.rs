use super::Gather;
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Gather {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let kernel = KernelSpec::new([wgsl!("gather_batch/gather.wgsl"), wgsl!("shared/step.wgsl")])
            .set("PIXELS", self.pixels)
            .set("BATCH", self.batch);
        let reads = vec![to.buffer("images"), to.buffer("labels"), to.buffer("order")];
        let count = (self.batch * self.pixels).div_ceil(4).max(self.batch);
        to.for_each(count, kernel, reads, vec![to.buffer("x"), to.buffer("targets")]);
        Ok(())
    }
}
