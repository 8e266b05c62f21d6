use super::{BackwardBias, BackwardInput, BackwardWeight, Forward, Geometry, naive};
use crate::error::Result;
use crate::gpu::{KernelSpec, Source};
use crate::ops::matrix::{self, Epilogue, Product};
use crate::ops::naive::append;
use crate::ops::{KernelForm, Record, Recorder};
use crate::wgsl;

/// The kernels of a shape, best first.
enum Choice {
    /// A matrix product: rows of both `x` and `w` in fours.
    Matrix,
    /// Rows of `x` in fours, and any number of outputs.
    Narrow,
    /// Anything.
    Naive,
}

/// Most terms of a sum that a narrow kernel adds: with up to five turns for each, below what a driver gives.
const MOST_TERMS: usize = 8192;

/// Rows of `y` that an invocation of the narrow forward pass computes.
const NARROW_ROWS: usize = 4;

impl Geometry {
    /// For sums of `terms` terms.
    fn choice(&self, terms: usize, to: &Recorder<'_>) -> Choice {
        if to.config.form == KernelForm::Naive || !self.inputs.is_multiple_of(4) {
            Choice::Naive
        } else if self.outputs.is_multiple_of(4) {
            Choice::Matrix
        } else if terms <= MOST_TERMS {
            Choice::Narrow
        } else {
            Choice::Naive
        }
    }

    fn narrow(&self, pass: &'static Source) -> KernelSpec {
        KernelSpec::new([pass]).set("INPUTS4", self.inputs / 4).set("OUTPUTS", self.outputs)
    }

    fn map(&self, map: KernelSpec) -> KernelSpec {
        map.set("INPUTS4", self.inputs / 4).set("OUTPUTS4", self.outputs / 4)
    }
}

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        match g.choice(g.inputs, to) {
            Choice::Naive => return naive::forward(self, to),
            Choice::Narrow => {
                let kernel = g.narrow(wgsl!("dense/forward_narrow.wgsl"));
                let kernel = kernel.set("BATCH", g.batch).set("ROWS", NARROW_ROWS);
                let mut reads = vec![to.buffer("x"), to.buffer("w")];
                let kernel = append(Epilogue::Bias(self.activation), kernel, &mut reads, to);
                to.for_each(g.batch.div_ceil(NARROW_ROWS) * g.outputs, kernel, reads, vec![to.buffer("y")]);
                return Ok(());
            }
            Choice::Matrix => {}
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
            slide: None,
        }
        .record(to);
        Ok(())
    }
}

impl Record for BackwardInput {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        match g.choice(g.outputs, to) {
            Choice::Naive => return naive::backward_input(self, to),
            Choice::Narrow => {
                let kernel = g.narrow(wgsl!("dense/backward_input_narrow.wgsl"));
                let mut reads = vec![to.buffer("dy"), to.buffer("w")];
                let kernel = Epilogue::from(self.producer).append(kernel, &mut reads, to);
                to.for_each(g.batch * g.inputs / 4, kernel, reads, vec![to.buffer("dx")]);
                return Ok(());
            }
            Choice::Matrix => {}
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
            slide: None,
        }
        .record(to);
        Ok(())
    }
}

impl Record for BackwardWeight {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        match g.choice(g.batch, to) {
            Choice::Naive => return naive::backward_weight(self, to),
            Choice::Narrow => {
                let kernel = g.narrow(wgsl!("dense/backward_weight_narrow.wgsl")).set("BATCH", g.batch);
                let reads = vec![to.buffer("x"), to.buffer("dy")];
                to.for_each(g.inputs / 4 * g.outputs, kernel, reads, vec![to.buffer("dw")]);
                return Ok(());
            }
            Choice::Matrix => {}
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
            slide: None,
        }
        .record(to);
        Ok(())
    }
}

impl Record for BackwardBias {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        match g.choice(g.batch, to) {
            Choice::Naive | Choice::Narrow => return naive::backward_bias(self, to),
            Choice::Matrix => matrix::record_column_sums(to, g.batch, g.outputs),
        }
        Ok(())
    }
}
