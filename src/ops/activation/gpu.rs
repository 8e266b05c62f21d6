use super::{Activation, Backward, Forward};
use crate::error::Result;
use crate::gpu::{KernelSpec, Source};
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Activation {
    /// The file that defines `activate` and `through_activation`.
    pub(crate) fn source(self) -> &'static Source {
        match self {
            Activation::Identity => wgsl!("activation/identity.wgsl"),
            Activation::Relu => wgsl!("activation/relu.wgsl"),
            Activation::Sigmoid => wgsl!("activation/sigmoid.wgsl"),
            Activation::Tanh => wgsl!("activation/tanh.wgsl"),
        }
    }
}

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let kernel = KernelSpec::new([wgsl!("activation/forward.wgsl"), self.activation.source()]);
        to.for_each(self.len.div_ceil(4), kernel, vec![to.buffer("x")], vec![to.buffer("y")]);
        Ok(())
    }
}

impl Record for Backward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let kernel = KernelSpec::new([wgsl!("activation/backward.wgsl"), self.activation.source()]);
        to.for_each(self.len.div_ceil(4), kernel, vec![to.buffer("y"), to.buffer("dy")], vec![to.buffer("dx")]);
        Ok(())
    }
}
