//! Launches naive kernels that add: one output an invocation, its sum split where it is too long for one.

use super::Recorder;
use super::matrix::Epilogue;
use super::record::check_turns;
use crate::error::Result;
use crate::gpu::{KernelSpec, Operand};
use crate::wgsl;

/// Most terms that one invocation adds: a term may cost three of its [`check_turns`].
const MOST_TERMS: usize = 16_384;

/// A sum for each element of an output.
pub(super) struct Sum {
    /// The pass; it adds `ROWS` rows from part * `ROWS` on.
    pub kernel: KernelSpec,
    /// Its operands, those of the epilogue aside.
    pub reads: Vec<(&'static str, Operand)>,
    /// Name of the tensor that is written.
    pub output: &'static str,
    /// Turns of the outer loop.
    pub rows: usize,
    /// Terms in each. A row is never split.
    pub row_terms: usize,
    /// What becomes of each sum.
    pub epilogue: Epilogue,
}

impl Sum {
    /// One dispatch; or where the terms are too many for it, parts, and a second dispatch that adds them in order.
    pub(super) fn record(mut self, to: &mut Recorder<'_>) -> Result<()> {
        check_turns(self.row_terms, "the channels or columns of one sum")?;
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
        Ok(())
    }
}

/// Appends the files and operands of an epilogue to a kernel that calls `finish`.
pub(super) fn append(
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
