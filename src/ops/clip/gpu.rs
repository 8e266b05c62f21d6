use super::Scale;
use crate::error::Result;
use crate::gpu::{KernelSpec, Operand};
use crate::ops::{Record, Recorder, operand};
use crate::wgsl;

/// Packs that an invocation adds up, and most workgroups, whose parts one more adds up.
const PACKS: usize = 8;
const GROUPS: usize = 1024;

impl Record for Scale {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let (kernel, pack) = operand::packs(KernelSpec::new([wgsl!("clip/squares.wgsl")]), self.len, to);
        let packs = self.len.div_ceil(pack);
        let groups = packs.div_ceil(64 * PACKS).clamp(1, GROUPS);
        let kernel = kernel.with([wgsl!("shared/linear.wgsl")]).set("PACKS", packs).set("PARTS", groups);
        let partial = ("partial", Operand::Scratch(groups));
        to.dispatch("squares", groups, kernel, vec![to.buffer("gradient")], vec![partial]);
        let kernel = KernelSpec::new([wgsl!("clip/scale.wgsl")]).set("PARTS", groups).set("MOST", self.most);
        to.single_group(kernel, vec![partial], vec![to.buffer("scale")]);
        Ok(())
    }
}
