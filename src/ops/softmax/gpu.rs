use super::{Cost, Forward, Loss};
use crate::error::Result;
use crate::ops::loop_limit::check_iterations;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        check_iterations(self.classes * 3, &format!("a softmax over {} classes", self.classes), "fewer classes")?;
        to.kernel(wgsl!("softmax/forward.wgsl"))
            .with(wgsl!("shared/softmax.wgsl"))
            .set_all([("BATCH", self.batch), ("CLASSES", self.classes)])
            .reads("x")
            .writes("y")
            .for_each(self.batch);
        Ok(())
    }
}

impl Record for Loss {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        check_iterations(self.classes * 5, &format!("a softmax over {} classes", self.classes), "fewer classes")?;
        let cost = match self.cost {
            Cost::CrossEntropy => to.kernel(wgsl!("softmax/cross_entropy.wgsl")).set("SMOOTHING", self.smoothing),
            Cost::Quadratic => to.kernel(wgsl!("softmax/quadratic.wgsl")),
        };
        cost.with(wgsl!("shared/softmax.wgsl"))
            .with(wgsl!("shared/step.wgsl"))
            .set_all([("BATCH", self.batch), ("CLASSES", self.classes)])
            .reads("x")
            .reads("targets")
            .writes("dx")
            .writes("loss")
            .writes("prediction")
            .for_each(self.batch);
        Ok(())
    }
}
