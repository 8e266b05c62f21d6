use super::Add;
use crate::error::Result;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Add {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        to.kernel(wgsl!("accumulate/add.wgsl"))
            .with(wgsl!("shared/step.wgsl"))
            .packs(self.len)
            .reads("gradients")
            .writes("sum")
            .for_each_pack(self.len);
        Ok(())
    }
}
