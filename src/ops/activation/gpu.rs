use super::{Activation, Backward, Forward};
use crate::error::Result;
use crate::gpu::ShaderFile;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Activation {
    /// The shader file that defines `activate` and `through_activation`.
    pub(crate) fn source(self) -> &'static ShaderFile {
        match self {
            Activation::Identity => wgsl!("activation/identity.wgsl"),
            Activation::Relu => wgsl!("activation/relu.wgsl"),
            Activation::Sigmoid => wgsl!("activation/sigmoid.wgsl"),
            Activation::Tanh => wgsl!("activation/tanh.wgsl"),
        }
    }
}

// ANCHOR: launch
impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        to.kernel(wgsl!("activation/forward.wgsl"))
            .with(self.activation.source())
            .reads("x")
            .writes("y")
            .for_each(self.len.div_ceil(4));
        Ok(())
    }
}
// ANCHOR_END: launch

impl Record for Backward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        to.kernel(wgsl!("activation/backward.wgsl"))
            .with(self.activation.source())
            .reads("y")
            .reads("dy")
            .writes("dx")
            .for_each(self.len.div_ceil(4));
        Ok(())
    }
}
