//! Launches the naive kernels: one scalar output per invocation, directly from the formula. They explain and check the
//! fast kernels.

use super::{BackwardInput, BackwardWeight, Forward, Geometry};
use crate::error::Result;
use crate::ops::Recorder;
use crate::ops::epilogue::Epilogue;
use crate::ops::naive::Sum;
use crate::wgsl;

pub(super) fn forward(op: &Forward, to: &mut Recorder<'_>) -> Result<()> {
    let g = &op.geometry;
    to.kernel(wgsl!("dense/forward_naive.wgsl"))
        .set_all([("BATCH", g.batch), ("INPUTS", g.inputs), ("OUTPUTS", g.outputs)])
        .reads("x")
        .reads("w")
        .sum(Sum { output: "y", rows: g.inputs, row_terms: 1, epilogue: Epilogue::Bias(op.activation, op.dropout) })
}

pub(super) fn backward_input(op: &BackwardInput, to: &mut Recorder<'_>) -> Result<()> {
    let g = &op.geometry;
    to.kernel(wgsl!("dense/backward_input_naive.wgsl"))
        .set_all([("BATCH", g.batch), ("INPUTS", g.inputs), ("OUTPUTS", g.outputs)])
        .reads("dy")
        .reads("w")
        .sum(Sum { output: "dx", rows: g.outputs, row_terms: 1, epilogue: Epilogue::backward(op.producer, op.dropout) })
}

pub(super) fn backward_weight(op: &BackwardWeight, to: &mut Recorder<'_>) -> Result<()> {
    let g = &op.geometry;
    to.kernel(wgsl!("dense/backward_weight_naive.wgsl"))
        .set_all([("BATCH", g.batch), ("INPUTS", g.inputs), ("OUTPUTS", g.outputs)])
        .reads("x")
        .reads("dy")
        .sum(Sum { output: "dw", rows: g.batch, row_terms: 1, epilogue: Epilogue::Nothing })
}

pub(super) fn backward_bias(g: &Geometry, to: &mut Recorder<'_>) -> Result<()> {
    to.kernel(wgsl!("dense/backward_bias_naive.wgsl"))
        .set_all([("BATCH", g.batch), ("OUTPUTS", g.outputs)])
        .reads("dy")
        .sum(Sum { output: "db", rows: g.batch, row_terms: 1, epilogue: Epilogue::Nothing })
}
