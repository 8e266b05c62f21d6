use super::{Backward, Forward, scale, threshold};
use crate::error::Result;
use crate::gpu::{KernelSpec, Source};
use crate::ops::{Activation, Record, Recorder, operand};
use crate::wgsl;

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let kernel = kernel(wgsl!("dropout/forward.wgsl"), self.rate, self.layer);
        let (kernel, pack) = operand::packs(kernel, self.len, to);
        to.for_each(self.len.div_ceil(pack), kernel, vec![to.buffer("x")], vec![to.buffer("y")]);
        Ok(())
    }
}

impl Record for Backward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let kernel = kernel(wgsl!("dropout/backward.wgsl"), self.rate, self.layer).with([self.producer.source()]);
        let (kernel, pack) = operand::packs(kernel, self.len, to);
        let dy = to.buffer("dy");
        // Without a producer there is no x, and nothing looks at it.
        let x = if self.producer == Activation::Identity { ("x", dy.1) } else { to.buffer("x") };
        to.for_each(self.len.div_ceil(pack), kernel, vec![x, dy], vec![to.buffer("dx")]);
        Ok(())
    }
}

fn kernel(pass: &'static Source, rate: f64, layer: u32) -> KernelSpec {
    KernelSpec::new([pass, wgsl!("dropout/draw.wgsl"), wgsl!("shared/random.wgsl"), wgsl!("shared/step.wgsl")])
        .set("LAYER", layer)
        .set("THRESHOLD", threshold(rate))
        .set("SCALE", scale(rate))
}
