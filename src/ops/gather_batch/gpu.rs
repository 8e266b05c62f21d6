use super::Gather;
use crate::error::Result;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Gather {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        to.kernel(wgsl!("gather_batch/gather.wgsl"))
            .with(wgsl!("shared/step.wgsl"))
            .set_all([("PIXELS", self.pixels), ("BATCH", self.batch)])
            .reads("images")
            .reads("labels")
            .reads("order")
            .writes("x")
            .writes("targets")
            .for_each((self.batch * self.pixels).div_ceil(4).max(self.batch));
        Ok(())
    }
}
