use super::Update;
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::ops::{Record, Recorder, operand};
use crate::wgsl;

impl Record for Update {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let (coupled, decoupled) = if self.decoupled { (0.0, self.weight_decay) } else { (self.weight_decay, 0.0) };
        let kernel = KernelSpec::new([wgsl!("adam/update.wgsl"), wgsl!("shared/step.wgsl")])
            .set("BETA1", self.beta1)
            .set("BETA2", self.beta2)
            .set("EPSILON", self.epsilon)
            .set("WEIGHT_DECAY", coupled)
            .set("DECOUPLED_DECAY", decoupled);
        let (kernel, pack) = operand::packs(kernel, self.len, to);
        let mut reads = vec![to.buffer("gradient")];
        let kernel = operand::gradient(self.clipped, kernel, &mut reads, to);
        let writes = ["weights", "first_moment", "second_moment"].map(|name| to.buffer(name)).to_vec();
        to.for_each(self.len.div_ceil(pack), kernel, reads, writes);
        Ok(())
    }
}
