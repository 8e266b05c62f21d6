use super::cpu::{Most, SCALE};
use super::{Draw, Gather, POINTS};
use crate::error::Result;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Draw {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let Most { shift, rotation, scale, shear, elastic } = self.amount.most();
        let [height, width] = self.size;
        // One invocation for the affine map, and one for every four displacements.
        let parts = 1 + (2 * POINTS * POINTS).div_ceil(4);
        to.kernel(wgsl!("augment/draw.wgsl"))
            .with(wgsl!("shared/random.wgsl"))
            .with(wgsl!("shared/step.wgsl"))
            .set_all([("BATCH", self.batch), ("HEIGHT", height), ("WIDTH", width)])
            .set_all([("SHIFT", shift), ("ROTATION", rotation), ("SCALE", scale), ("SHEAR", shear)])
            .set("ELASTIC", elastic)
            .writes("maps")
            .for_each(self.batch * parts);
        Ok(())
    }
}

impl Record for Gather {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let [height, width, channels] = self.shape;
        to.kernel(wgsl!("augment/gather.wgsl"))
            .with(wgsl!("shared/step.wgsl"))
            .set_all([("BATCH", self.batch), ("HEIGHT", height), ("WIDTH", width), ("CHANNELS", channels)])
            .set("SCALE", SCALE)
            .reads("images")
            .reads("labels")
            .reads("order")
            .reads("maps")
            .writes("x")
            .writes("targets")
            .for_each((self.batch * self.pixels()).div_ceil(4).max(self.batch));
        Ok(())
    }
}
