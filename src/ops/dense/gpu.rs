use super::{BackwardBias, BackwardInput, BackwardWeight, Forward, Geometry, naive};
use crate::error::Result;
use crate::gpu::KernelSpec;
use crate::ops::matrix::{self, Epilogue, Product};
use crate::ops::{Form, Record, Recorder};
use crate::wgsl;

impl Geometry {
    /// Whether the matrix engine can take it: rows of both `x` and `w` in fours.
    fn is_matrix(&self, to: &Recorder<'_>) -> bool {
        to.settings.form != Form::Naive && self.inputs.is_multiple_of(4) && self.outputs.is_multiple_of(4)
    }

    fn map(&self, map: KernelSpec) -> KernelSpec {
        map.set("INPUTS4", self.inputs / 4).set("OUTPUTS4", self.outputs / 4)
    }
}

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        if !g.is_matrix(to) {
            return naive::forward(self, to);
        }
        Product {
            map: g.map(KernelSpec::new([wgsl!("dense/forward.wgsl")])),
            m: g.batch,
            n: g.outputs,
            k: g.inputs,
            left: "x",
            right: "w",
            product: "y",
            epilogue: Epilogue::Bias(self.activation),
        }
        .record(to);
        Ok(())
    }
}

impl Record for BackwardInput {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        if !g.is_matrix(to) {
            return naive::backward_input(self, to);
        }
        Product {
            map: g.map(KernelSpec::new([wgsl!("dense/backward_input.wgsl")])),
            m: g.batch,
            n: g.inputs,
            k: g.outputs,
            left: "dy",
            right: "w",
            product: "dx",
            epilogue: self.producer.into(),
        }
        .record(to);
        Ok(())
    }
}

impl Record for BackwardWeight {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        if !g.is_matrix(to) {
            return naive::backward_weight(self, to);
        }
        Product {
            map: g.map(KernelSpec::new([wgsl!("dense/backward_weight.wgsl")])),
            m: g.inputs,
            n: g.outputs,
            k: g.batch,
            left: "x",
            right: "dy",
            product: "dw",
            epilogue: Epilogue::Nothing,
        }
        .record(to);
        Ok(())
    }
}

impl Record for BackwardBias {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        if !g.is_matrix(to) {
            return naive::backward_bias(self, to);
        }
        matrix::record_column_sums(to, g.batch, g.outputs);
        Ok(())
    }
}
