use super::Update;
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::ops::{Record, Recorder, operand};
use crate::wgsl;

impl Record for Update {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let kernel = KernelSpec::new([wgsl!("average/update.wgsl")]).set("DECAY", self.decay);
        let (kernel, pack) = operand::packs(kernel, self.len, to);
        to.for_each(self.len.div_ceil(pack), kernel, vec![to.buffer("weights")], vec![to.buffer("average")]);
        Ok(())
    }
}
