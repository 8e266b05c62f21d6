//! Launches the naive kernels: one scalar output per invocation, directly from the formula. They explain and check the
//! fast kernels.

use super::{BackwardInput, BackwardWeight, Forward, Geometry};
use crate::error::Result;
use crate::gpu::ShaderFile;
use crate::ops::Recorder;
use crate::ops::epilogue::Epilogue;
use crate::ops::launch::KernelLaunch;
use crate::ops::naive::Sum;
use crate::wgsl;

fn kernel<'r, 'a>(pass: &'static ShaderFile, g: &Geometry, to: &'r mut Recorder<'a>) -> KernelLaunch<'r, 'a> {
    to.kernel(pass).window(&g.window).set("FILTERS", g.filters)
}

pub(super) fn forward(op: &Forward, to: &mut Recorder<'_>) -> Result<()> {
    let g = &op.geometry;
    let (rows, row_terms) = (g.window.area(), g.window.channels);
    kernel(wgsl!("conv2d/forward_naive.wgsl"), g, to).reads("x").reads("w").sum(Sum {
        output: "y",
        rows,
        row_terms,
        epilogue: Epilogue::Bias(op.activation, op.dropout),
    })
}

pub(super) fn backward_input(op: &BackwardInput, to: &mut Recorder<'_>) -> Result<()> {
    let g = &op.geometry;
    let (rows, row_terms) = (g.window.area(), g.filters);
    kernel(wgsl!("conv2d/backward_input_naive.wgsl"), g, to).reads("dy").reads("w").sum(Sum {
        output: "dx",
        rows,
        row_terms,
        epilogue: Epilogue::backward(op.producer, op.dropout),
    })
}

pub(super) fn backward_weight(op: &BackwardWeight, to: &mut Recorder<'_>) -> Result<()> {
    let g = &op.geometry;
    let (rows, row_terms) = (g.window.batch * g.window.out_height, g.window.out_width);
    kernel(wgsl!("conv2d/backward_weight_naive.wgsl"), g, to).reads("x").reads("dy").sum(Sum {
        output: "dw",
        rows,
        row_terms,
        epilogue: Epilogue::Nothing,
    })?;
    to.part("bias", |to| backward_bias(g, to))
}

fn backward_bias(g: &Geometry, to: &mut Recorder<'_>) -> Result<()> {
    to.kernel(wgsl!("conv2d/backward_bias_naive.wgsl"))
        .set_all([("PLACES", g.window.places()), ("FILTERS", g.filters)])
        .reads("dy")
        .sum(Sum { output: "db", rows: g.window.places(), row_terms: 1, epilogue: Epilogue::Nothing })
}
