use super::{Cost, Forward, Loss};
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::ops::record::check_turns;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        check_turns(self.classes * 3, "a softmax over so many classes")?;
        let kernel = KernelSpec::new([wgsl!("softmax/forward.wgsl"), wgsl!("shared/softmax.wgsl")])
            .set("BATCH", self.batch)
            .set("CLASSES", self.classes);
        to.for_each(self.batch, kernel, vec![to.buffer("x")], vec![to.buffer("y")]);
        Ok(())
    }
}

impl Record for Loss {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        check_turns(self.classes * 5, "a softmax over so many classes")?;
        let pass = match self.cost {
            Cost::CrossEntropy => wgsl!("softmax/cross_entropy.wgsl"),
            Cost::Quadratic => wgsl!("softmax/quadratic.wgsl"),
        };
        let kernel = KernelSpec::new([pass, wgsl!("shared/softmax.wgsl"), wgsl!("shared/step.wgsl")])
            .set("BATCH", self.batch)
            .set("CLASSES", self.classes);
        let kernel = if self.cost == Cost::CrossEntropy { kernel.set("SMOOTHING", self.smoothing) } else { kernel };
        let writes = vec![to.buffer("dx"), to.buffer("loss"), to.buffer("prediction")];
        to.for_each(self.batch, kernel, vec![to.buffer("x"), to.buffer("targets")], writes);
        Ok(())
    }
}
