use super::Score;
use crate::error::Result;
use crate::ops::{Record, Recorder};
use crate::wgsl;

impl Record for Score {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        to.kernel(wgsl!("score/score.wgsl"))
            .with(wgsl!("shared/step.wgsl"))
            .set("BATCH", self.batch)
            .reads("loss")
            .reads("prediction")
            .reads("targets")
            .writes("losses")
            .writes("correct")
            .writes("predictions")
            .single_group();
        Ok(())
    }
}
