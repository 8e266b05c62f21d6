use super::Update;
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::ops::{Record, Recorder, operand};
use crate::wgsl;

impl Record for Update {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let mut writes = vec![to.buffer("weights")];
        let kernel = if self.momentum > 0.0 {
            writes.push(to.buffer("velocity"));
            KernelSpec::new([wgsl!("sgd/update_momentum.wgsl")])
                .set("MOMENTUM", self.momentum)
                .set("NESTEROV", self.nesterov)
        } else {
            KernelSpec::new([wgsl!("sgd/update.wgsl")])
        };
        let kernel = kernel.with([wgsl!("shared/step.wgsl")]).set("WEIGHT_DECAY", self.weight_decay);
        let (kernel, pack) = operand::packs(kernel, self.len, to);
        let mut reads = vec![to.buffer("gradient")];
        let kernel = operand::gradient(self.clipped, kernel, &mut reads, to);
        to.for_each(self.len.div_ceil(pack), kernel, reads, writes);
        Ok(())
    }
}
