use super::{BackwardBias, BackwardInput, BackwardWeight, Forward};
use crate::error::Result;
use crate::ops::{Record, Recorder};

impl Record for Forward {
    fn record(&self, _to: &mut Recorder<'_>) -> Result<()> {
        todo!()
    }
}

impl Record for BackwardInput {
    fn record(&self, _to: &mut Recorder<'_>) -> Result<()> {
        todo!()
    }
}

impl Record for BackwardWeight {
    fn record(&self, _to: &mut Recorder<'_>) -> Result<()> {
        todo!()
    }
}

impl Record for BackwardBias {
    fn record(&self, _to: &mut Recorder<'_>) -> Result<()> {
        todo!()
    }
}
