//! One scalar output an invocation, as the formula reads: kernels that explain and check the fast ones.

use super::{BackwardInput, BackwardWeight, Forward, Geometry};
use crate::error::Result;
use crate::gpu::{KernelSpec, Source};
use crate::ops::Recorder;
use crate::ops::matrix::Epilogue;
use crate::ops::naive::Sum;
use crate::wgsl;

fn kernel(pass: &'static Source, geometry: &Geometry) -> KernelSpec {
    KernelSpec::new([pass, wgsl!("shared/window.wgsl")])
        .set_all(geometry.window.constants())
        .set("FILTERS", geometry.filters)
}

pub(super) fn forward(op: &Forward, to: &mut Recorder<'_>) -> Result<()> {
    let g = &op.geometry;
    Sum {
        kernel: kernel(wgsl!("conv2d/forward_naive.wgsl"), g),
        reads: vec![to.buffer("x"), to.buffer("w")],
        output: "y",
        rows: g.window.area(),
        row_terms: g.window.channels,
        epilogue: Epilogue::Bias(op.activation),
    }
    .record(to)
}

pub(super) fn backward_input(op: &BackwardInput, to: &mut Recorder<'_>) -> Result<()> {
    let g = &op.geometry;
    Sum {
        kernel: kernel(wgsl!("conv2d/backward_input_naive.wgsl"), g),
        reads: vec![to.buffer("dy"), to.buffer("w")],
        output: "dx",
        rows: g.window.area(),
        row_terms: g.filters,
        epilogue: op.producer.into(),
    }
    .record(to)
}

pub(super) fn backward_weight(op: &BackwardWeight, to: &mut Recorder<'_>) -> Result<()> {
    let g = &op.geometry;
    Sum {
        kernel: kernel(wgsl!("conv2d/backward_weight_naive.wgsl"), g),
        reads: vec![to.buffer("x"), to.buffer("dy")],
        output: "dw",
        rows: g.window.batch * g.window.out_height,
        row_terms: g.window.out_width,
        epilogue: Epilogue::Nothing,
    }
    .record(to)?;
    to.part("bias", |to| backward_bias(g, to))
}

fn backward_bias(g: &Geometry, to: &mut Recorder<'_>) -> Result<()> {
    let kernel = KernelSpec::new([wgsl!("conv2d/backward_bias_naive.wgsl")]);
    Sum {
        kernel: kernel.set_all([("PLACES", g.window.places()), ("FILTERS", g.filters)]),
        reads: vec![to.buffer("dy")],
        output: "db",
        rows: g.window.places(),
        row_terms: 1,
        epilogue: Epilogue::Nothing,
    }
    .record(to)
}
