use super::Loss;
use crate::error::Result;
use crate::ops::epilogue::{Epilogue, Sums};
use crate::ops::{Activation, Record, Recorder};
use crate::wgsl;

impl Record for Loss {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        let launch = to
            .kernel(wgsl!("classifier/loss.wgsl"))
            .cost(self.cost, self.smoothing)
            .with(wgsl!("shared/softmax.wgsl"))
            .with(wgsl!("shared/linear.wgsl"))
            .with(wgsl!("shared/step.wgsl"))
            .set_all([("BATCH", g.batch), ("CLASSES", g.outputs), ("INPUTS4", g.inputs / 4)])
            .reads("w")
            .reads("b")
            .reads("targets");
        // An epilogue that multiplies by f'(x) reads x itself.
        let launch = if self.producer == Activation::Identity { launch.epilogue_x() } else { launch };
        launch
            .finish(Sums::Four, Epilogue::backward(self.producer, self.dropout))
            .writes("dy")
            .writes("loss")
            .writes("prediction")
            .writes("dx")
            .groups(g.batch);
        Ok(())
    }
}
