use super::{Cost, Forward, Loss};
use crate::error::Result;
use crate::ops::turns::check_turns;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        check_turns(self.classes * 3, "a softmax over so many classes", "fewer of them")?;
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
        check_turns(self.classes * 5, "a softmax over so many classes", "fewer of them")?;
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
