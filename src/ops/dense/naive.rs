//! One scalar output an invocation, as the formula reads: kernels that explain and check the fast ones.

use super::{BackwardBias, BackwardInput, BackwardWeight, Forward};
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::ops::Recorder;
use crate::ops::matrix::Epilogue;
use crate::ops::naive::Sum;
use crate::wgsl;

pub(super) fn forward(op: &Forward, to: &mut Recorder<'_>) -> Result<()> {
    let g = &op.geometry;
    let kernel = KernelSpec::new([wgsl!("dense/forward_naive.wgsl")]);
    Sum {
        kernel: kernel.set_all([("BATCH", g.batch), ("INPUTS", g.inputs), ("OUTPUTS", g.outputs)]),
        reads: vec![to.buffer("x"), to.buffer("w")],
        output: "y",
        rows: g.inputs,
        row_terms: 1,
        epilogue: Epilogue::Bias(op.activation),
    }
    .record(to)
}

pub(super) fn backward_input(op: &BackwardInput, to: &mut Recorder<'_>) -> Result<()> {
    let g = &op.geometry;
    let kernel = KernelSpec::new([wgsl!("dense/backward_input_naive.wgsl")]);
    Sum {
        kernel: kernel.set_all([("BATCH", g.batch), ("INPUTS", g.inputs), ("OUTPUTS", g.outputs)]),
        reads: vec![to.buffer("dy"), to.buffer("w")],
        output: "dx",
        rows: g.outputs,
        row_terms: 1,
        epilogue: op.producer.into(),
    }
    .record(to)
}

pub(super) fn backward_weight(op: &BackwardWeight, to: &mut Recorder<'_>) -> Result<()> {
    let g = &op.geometry;
    let kernel = KernelSpec::new([wgsl!("dense/backward_weight_naive.wgsl")]);
    Sum {
        kernel: kernel.set_all([("BATCH", g.batch), ("INPUTS", g.inputs), ("OUTPUTS", g.outputs)]),
        reads: vec![to.buffer("x"), to.buffer("dy")],
        output: "dw",
        rows: g.batch,
        row_terms: 1,
        epilogue: Epilogue::Nothing,
    }
    .record(to)
}

pub(super) fn backward_bias(op: &BackwardBias, to: &mut Recorder<'_>) -> Result<()> {
    let g = &op.geometry;
    let kernel = KernelSpec::new([wgsl!("dense/backward_bias_naive.wgsl")]);
    Sum {
        kernel: kernel.set_all([("BATCH", g.batch), ("OUTPUTS", g.outputs)]),
        reads: vec![to.buffer("dy")],
        output: "db",
        rows: g.batch,
        row_terms: 1,
        epilogue: Epilogue::Nothing,
    }
    .record(to)
}
