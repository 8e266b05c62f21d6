use super::{BackwardInput, BackwardWeight, Forward, Geometry, naive};
use crate::error::Result;
use crate::gpu::ShaderFile;
use crate::ops::epilogue::{Epilogue, Sums};
use crate::ops::launch::KernelLaunch;
use crate::ops::loop_limit::MOST_ITERATIONS;
use crate::ops::matrix::{Product, Rows};
use crate::ops::{KernelForm, Record, Recorder};
use crate::wgsl;

/// The kinds of kernels, the fastest first.
enum Choice {
    /// A matrix product; the numbers of inputs and outputs must be multiples of 4.
    Matrix,
    /// For any number of outputs; the number of inputs must be a multiple of 4.
    Narrow,
    /// For any shape.
    Naive,
}

/// Largest number of terms per sum in narrow kernels.
const MOST_TERMS: usize = 8192;

// A term may take five iterations.
const _: () = assert!(5 * MOST_TERMS <= MOST_ITERATIONS);

/// Number of rows of `y` per invocation of the narrow forward pass.
const NARROW_ROWS: usize = 4;

impl Geometry {
    /// The kind of kernel for a pass whose sums have `terms` terms.
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

    /// Starts the launch of a kernel for any number of outputs.
    fn narrow<'r, 'a>(&self, pass: &'static ShaderFile, to: &'r mut Recorder<'a>) -> KernelLaunch<'r, 'a> {
        to.kernel(pass).set_all([("INPUTS4", self.inputs / 4), ("OUTPUTS", self.outputs)])
    }

    /// Starts the launch of an address map for the matrix engine.
    fn map<'r, 'a>(&self, pass: &'static ShaderFile, to: &'r mut Recorder<'a>) -> KernelLaunch<'r, 'a> {
        to.kernel(pass).set_all([("INPUTS4", self.inputs / 4), ("OUTPUTS4", self.outputs / 4)])
    }
}

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        let epilogue = Epilogue::Bias(self.activation, self.dropout);
        match g.choice(g.inputs, to) {
            Choice::Naive => return naive::forward(self, to),
            Choice::Narrow => {
                g.narrow(wgsl!("dense/forward_narrow.wgsl"), to)
                    .set_all([("BATCH", g.batch), ("ROWS", NARROW_ROWS)])
                    .reads("x")
                    .reads("w")
                    .finish(Sums::Single, epilogue)
                    .writes("y")
                    .for_each(g.batch.div_ceil(NARROW_ROWS) * g.outputs);
            }
            Choice::Matrix => g.map(wgsl!("dense/forward.wgsl"), to).multiply(Product {
                m: g.batch,
                n: g.outputs,
                k: g.inputs,
                left: "x",
                right: "w",
                product: "y",
                epilogue,
                bias: None,
                slide: None,
                rows: Rows::Each,
            }),
        }
        Ok(())
    }
}

impl Record for BackwardInput {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        match g.choice(g.outputs, to) {
            Choice::Naive => return naive::backward_input(self, to),
            Choice::Narrow => {
                g.narrow(wgsl!("dense/backward_input_narrow.wgsl"), to)
                    .reads("dy")
                    .reads("w")
                    .finish(Sums::Four, Epilogue::backward(self.producer, self.dropout))
                    .writes("dx")
                    .for_each(g.batch * g.inputs / 4);
            }
            Choice::Matrix => g.map(wgsl!("dense/backward_input.wgsl"), to).multiply(Product {
                m: g.batch,
                n: g.inputs,
                k: g.outputs,
                left: "dy",
                right: "w",
                product: "dx",
                epilogue: Epilogue::backward(self.producer, self.dropout),
                bias: None,
                slide: None,
                rows: Rows::Each,
            }),
        }
        Ok(())
    }
}

impl Record for BackwardWeight {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        match g.choice(g.batch, to) {
            Choice::Naive => {
                naive::backward_weight(self, to)?;
                to.part("bias", |to| naive::backward_bias(g, to))
            }
            Choice::Narrow => {
                g.narrow(wgsl!("dense/backward_weight_narrow.wgsl"), to)
                    .set("BATCH", g.batch)
                    .reads("x")
                    .reads("dy")
                    .writes("dw")
                    .writes("db")
                    .for_each((g.inputs / 4 + 1) * g.outputs);
                Ok(())
            }
            Choice::Matrix => {
                g.map(wgsl!("dense/backward_weight.wgsl"), to).multiply(Product {
                    m: g.inputs,
                    n: g.outputs,
                    k: g.batch,
                    left: "x",
                    right: "dy",
                    product: "dw",
                    epilogue: Epilogue::Nothing,
                    bias: Some("db"),
                    slide: None,
                    rows: Rows::Each,
                });
                Ok(())
            }
        }
    }
}
