//! One scalar output an invocation, as the formula reads: kernels that explain and check the fast ones.

use super::{BackwardBias, BackwardInput, BackwardWeight, Forward};
use crate::gpu::{KernelSpec, Operand};
use crate::ops::Recorder;
use crate::ops::matrix::Epilogue;
use crate::wgsl;

/// Most terms that one invocation adds. llvmpipe gives all loops of an invocation 65,535 turns together and then leaves
/// them silently; entering an inner loop takes two turns beside its own, so that a term may cost three.
const MOST_TERMS: usize = 16_384;

/// A sum for each element of an output.
pub(in crate::ops) struct Sum {
    /// The pass; it adds `ROWS` rows from part * `ROWS` on.
    pub kernel: KernelSpec,
    /// Its operands, those of the epilogue aside.
    pub reads: Vec<(&'static str, Operand)>,
    /// Name of the tensor that is written.
    pub output: &'static str,
    /// Turns of the outer loop.
    pub rows: usize,
    /// Terms in each. A row is never split: above some 60,000 channels or filters a conv2d would need it.
    pub row_terms: usize,
    /// What becomes of each sum.
    pub epilogue: Epilogue,
}

impl Sum {
    /// One dispatch; or where the terms are too many for it, parts, and a second dispatch that adds them in order.
    pub(in crate::ops) fn record(mut self, to: &mut Recorder<'_>) {
        let rows_each = (MOST_TERMS / self.row_terms).clamp(1, self.rows);
        let parts = self.rows.div_ceil(rows_each);
        let kernel = self.kernel.set("ROWS", rows_each);
        let (output, product) = to.buffer(self.output);
        let len = to.region(self.output).len;
        if parts == 1 {
            let kernel = append(self.epilogue, kernel, &mut self.reads, to);
            to.for_each(len, kernel, self.reads, vec![(output, product)]);
        } else {
            let partial = Operand::Scratch((parts * len).next_multiple_of(4));
            let kernel = append(Epilogue::Nothing, kernel, &mut self.reads, to);
            to.for_each(parts * len, kernel, self.reads, vec![(output, partial)]);
            let mut reads = vec![("partial", partial)];
            let reduce = KernelSpec::new([wgsl!("shared/reduce_naive.wgsl")]).set("PARTS", parts);
            let reduce = append(self.epilogue, reduce, &mut reads, to);
            to.for_each_part("reduce", len, reduce, reads, vec![("y", product)]);
        }
    }
}

/// Appends the files and operands of an epilogue to a kernel that calls `finish`.
fn append(
    epilogue: Epilogue,
    kernel: KernelSpec,
    reads: &mut Vec<(&'static str, Operand)>,
    to: &Recorder<'_>,
) -> KernelSpec {
    match epilogue {
        Epilogue::Nothing => kernel.with([wgsl!("shared/finish_nothing_naive.wgsl")]),
        Epilogue::Bias(activation) => {
            reads.push(to.buffer("b"));
            let files = [wgsl!("shared/finish_bias_naive.wgsl"), activation.source()];
            kernel.with(files).set("BIAS_COLUMNS", to.region("b").len)
        }
        Epilogue::Producer(activation) => {
            reads.push(to.buffer("x"));
            kernel.with([wgsl!("shared/finish_producer_naive.wgsl"), activation.source()])
        }
    }
}

pub(super) fn forward(op: &Forward, to: &mut Recorder<'_>) {
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
    .record(to);
}

pub(super) fn backward_input(op: &BackwardInput, to: &mut Recorder<'_>) {
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
    .record(to);
}

pub(super) fn backward_weight(op: &BackwardWeight, to: &mut Recorder<'_>) {
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
    .record(to);
}

pub(super) fn backward_bias(op: &BackwardBias, to: &mut Recorder<'_>) {
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
    .record(to);
}
