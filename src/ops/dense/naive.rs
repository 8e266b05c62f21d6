use super::{BackwardBias, BackwardInput, BackwardWeight, Forward};
use crate::ops::Recorder;
pub(super) fn forward(_: &Forward, _: &mut Recorder<'_>) { todo!() }
pub(super) fn backward_input(_: &BackwardInput, _: &mut Recorder<'_>) { todo!() }
pub(super) fn backward_weight(_: &BackwardWeight, _: &mut Recorder<'_>) { todo!() }
pub(super) fn backward_bias(_: &BackwardBias, _: &mut Recorder<'_>) { todo!() }
