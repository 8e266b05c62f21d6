use super::Update;
use crate::error::Result;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Update {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        to.kernel(wgsl!("average/update.wgsl"))
            .with(wgsl!("shared/step.wgsl"))
            .set("DECAY", self.decay)
            .packs(self.len)
            .reads("weights")
            .writes("average")
            .for_each_pack(self.len);
        Ok(())
    }
}
