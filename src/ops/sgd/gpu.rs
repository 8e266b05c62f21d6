use super::Update;
use crate::error::Result;
use crate::ops::{Record, Recorder};

impl Record for Update {
    fn record(&self, _to: &mut Recorder<'_>) -> Result<()> {
        todo!()
    }
}
