use super::{Backward, Forward};
use crate::error::Result;
use crate::ops::{Record, Recorder};

impl Record for Forward {
    fn record(&self, _to: &mut Recorder<'_>) -> Result<()> {
        todo!()
    }
}

impl Record for Backward {
    fn record(&self, _to: &mut Recorder<'_>) -> Result<()> {
        todo!()
    }
}
