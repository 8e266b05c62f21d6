use super::Update;
use crate::error::Result;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Update {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let (coupled, decoupled) = if self.decoupled { (0.0, self.weight_decay) } else { (self.weight_decay, 0.0) };
        to.kernel(wgsl!("adam/update.wgsl"))
            .with(wgsl!("shared/step.wgsl"))
            .set_all([("BETA1", self.beta1), ("BETA2", self.beta2), ("EPSILON", self.epsilon)])
            .set_all([("WEIGHT_DECAY", coupled), ("DECOUPLED_DECAY", decoupled)])
            .packs(self.len)
            .gradient(self.clipped)
            .writes("weights")
            .writes("first_moment")
            .writes("second_moment")
            .for_each_pack(self.len);
        Ok(())
    }
}
