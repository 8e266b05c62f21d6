use super::cpu::{Most, SCALE};
use super::{Draw, Gather, POINTS};
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Draw {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let Most { shift, rotation, scale, shear, elastic } = self.amount.most();
        let [height, width] = self.size;
        let files = [wgsl!("augment/draw.wgsl"), wgsl!("shared/random.wgsl"), wgsl!("shared/step.wgsl")];
        let kernel = KernelSpec::new(files)
            .set_all([("BATCH", self.batch), ("HEIGHT", height), ("WIDTH", width)])
            .set_all([("SHIFT", shift), ("ROTATION", rotation), ("SCALE", scale), ("SHEAR", shear)])
            .set("ELASTIC", elastic);
        // One for the affine map, and one for four displacements each.
        let parts = 1 + (2 * POINTS * POINTS).div_ceil(4);
        to.for_each(self.batch * parts, kernel, Vec::new(), vec![to.buffer("maps")]);
        Ok(())
    }
}

impl Record for Gather {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let [height, width, channels] = self.shape;
        let kernel = KernelSpec::new([wgsl!("augment/gather.wgsl"), wgsl!("shared/step.wgsl")])
            .set_all([("BATCH", self.batch), ("HEIGHT", height), ("WIDTH", width), ("CHANNELS", channels)])
            .set("SCALE", SCALE);
        let reads = ["images", "labels", "order", "maps"].map(|name| to.buffer(name)).to_vec();
        let count = (self.batch * self.pixels()).div_ceil(4).max(self.batch);
        to.for_each(count, kernel, reads, vec![to.buffer("x"), to.buffer("targets")]);
        Ok(())
    }
}
