use super::{Cost, Forward, Loss};
use crate::error::Result;
use crate::ops::launch::KernelLaunch;
use crate::ops::loop_limit::check_iterations;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        check_iterations(self.classes * 3, &format!("a softmax over {} classes", self.classes), "fewer classes")?;
        to.kernel(wgsl!("softmax/forward.wgsl"))
            .with(wgsl!("shared/softmax.wgsl"))
            .with(wgsl!("shared/logits.wgsl"))
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
        to.kernel(wgsl!("softmax/loss.wgsl"))
            .cost(self.cost, self.smoothing)
            .with(wgsl!("shared/softmax.wgsl"))
            .with(wgsl!("shared/logits.wgsl"))
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

impl KernelLaunch<'_, '_> {
    /// Joins the file that defines the cost of a row and its gradient.
    pub(in crate::ops) fn cost(self, cost: Cost, smoothing: f32) -> Self {
        match cost {
            Cost::CrossEntropy => self.with(wgsl!("softmax/cross_entropy.wgsl")).set("SMOOTHING", smoothing),
            Cost::Quadratic => self.with(wgsl!("softmax/quadratic.wgsl")),
        }
    }
}
