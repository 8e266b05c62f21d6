use super::Update;
use crate::error::Result;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Update {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let update = if self.momentum > 0.0 {
            to.kernel(wgsl!("sgd/update_momentum.wgsl")).set("MOMENTUM", self.momentum).set("NESTEROV", self.nesterov)
        } else {
            to.kernel(wgsl!("sgd/update.wgsl"))
        };
        update
            .with(wgsl!("shared/step.wgsl"))
            .set("WEIGHT_DECAY", self.weight_decay)
            .packs(self.len)
            .gradient(self.clipped)
            .writes("weights")
            .when(self.momentum > 0.0, |update| update.writes("velocity"))
            .for_each_pack(self.len);
        Ok(())
    }
}
