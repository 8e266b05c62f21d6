use super::{Backward, Forward, Mask};
use crate::error::Result;
use crate::ops::launch::KernelLaunch;
use crate::ops::{Activation, Record, Recorder};
use crate::wgsl;

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        to.kernel(wgsl!("dropout/forward.wgsl"))
            .drops(Some(self.mask))
            .packs(self.len)
            .reads("x")
            .writes("y")
            .for_each_pack(self.len);
        Ok(())
    }
}

impl Record for Backward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        // With the identity as producer there is no x, and the kernel does not use its value.
        let x = if self.producer == Activation::Identity { "dy" } else { "x" };
        to.kernel(wgsl!("dropout/backward.wgsl"))
            .drops(Some(self.mask))
            .with(self.producer.source())
            .packs(self.len)
            .reads_as("x", x)
            .reads("dy")
            .writes("dx")
            .for_each_pack(self.len);
        Ok(())
    }
}

impl KernelLaunch<'_, '_> {
    /// Joins the files that define `drop_out`, which drops the elements of a mask, or none.
    pub(in crate::ops) fn drops(self, mask: Option<Mask>) -> Self {
        let Some(mask) = mask else { return self.with(wgsl!("dropout/none.wgsl")) };
        self.with(wgsl!("dropout/draw.wgsl"))
            .with(wgsl!("shared/random.wgsl"))
            .with(wgsl!("shared/step.wgsl"))
            .set("LAYER", mask.layer)
            .set("IMAGE_LEN", mask.width)
            .set("THRESHOLD", mask.threshold())
            .set("SCALE", mask.scale())
            .set("KEPT", mask.kept())
    }
}
