use super::Scale;
use crate::error::Result;
use crate::ops::{Record, Recorder};
use crate::wgsl;

/// Number of packs per invocation, unless that needs more than [`GROUPS`] workgroups.
const PACKS: usize = 8;
/// Largest number of workgroups, whose partial sums one more workgroup adds.
const GROUPS: usize = 1024;

impl Record for Scale {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let squares = to.kernel(wgsl!("clip/squares.wgsl")).part("squares").packs(self.len);
        let packs = self.len.div_ceil(squares.pack());
        let groups = packs.div_ceil(64 * PACKS).clamp(1, GROUPS);
        squares
            .with(wgsl!("shared/linear.wgsl"))
            .set_all([("PACKS", packs), ("PARTS", groups)])
            .reads("gradient")
            .writes_scratch("partial", groups)
            .groups(groups);
        to.kernel(wgsl!("clip/scale.wgsl"))
            .set("PARTS", groups)
            .set("MOST", self.most)
            .reads_scratch("partial", groups)
            .writes("scale")
            .single_group();
        Ok(())
    }
}
