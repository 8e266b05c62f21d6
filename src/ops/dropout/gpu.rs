use super::{Backward, Forward, scale, threshold};
use crate::error::Result;
use crate::ops::launch::KernelLaunch;
use crate::ops::{Activation, Record, Recorder};
use crate::wgsl;

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        to.kernel(wgsl!("dropout/forward.wgsl"))
            .drops(self.rate, self.layer, self.width)
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
            .drops(self.rate, self.layer, self.width)
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
    /// Joins the files that determine which elements are dropped, with the constants for a rate, a layer
    /// and the width of a row.
    fn drops(self, rate: f64, layer: u32, width: usize) -> Self {
        self.with(wgsl!("dropout/draw.wgsl"))
            .with(wgsl!("shared/random.wgsl"))
            .with(wgsl!("shared/step.wgsl"))
            .set("LAYER", layer)
            .set("WIDTH", width)
            .set("THRESHOLD", threshold(rate))
            .set("SCALE", scale(rate))
    }
}
