//! Launches naive kernels that compute sums: one output per invocation, with sums split if they are too long for one.

use super::epilogue::{Epilogue, Sums};
use super::launch::KernelLaunch;
use super::loop_limit::{MOST_ITERATIONS, check_iterations};
use crate::error::Result;
use crate::wgsl;

/// Largest number of terms that one invocation adds, unless a single row has more.
const MOST_TERMS: usize = 16_384;

// A term may take three iterations.
const _: () = assert!(3 * MOST_TERMS <= MOST_ITERATIONS);

/// A sum for each element of an output.
pub(super) struct Sum {
    /// Name of the tensor that is written.
    pub output: &'static str,
    /// Number of iterations of the outer loop.
    pub rows: usize,
    /// Number of terms per iteration of the outer loop, which is never split.
    pub row_terms: usize,
    /// The operation applied to each sum.
    pub epilogue: Epilogue,
}

impl KernelLaunch<'_, '_> {
    /// Records a kernel that adds `ROWS` rows, starting at row part * `ROWS`. If there are too many terms for one part,
    /// a second dispatch adds the parts in order.
    pub(super) fn sum(self, sum: Sum) -> Result<()> {
        let Sum { output, rows, row_terms, epilogue } = sum;
        check_iterations(row_terms, "a sum over the channels or columns", "fewer of them")?;
        let rows_each = (MOST_TERMS / row_terms).clamp(1, rows);
        let parts = rows.div_ceil(rows_each);
        let len = self.to.region(output).len;
        let launch = self.set("ROWS", rows_each);
        if parts == 1 {
            launch.finish(Sums::Single, epilogue).writes(output).for_each(len);
            return Ok(());
        }
        let partial = (parts * len).next_multiple_of(4);
        let to = launch.finish(Sums::Single, Epilogue::Nothing).writes_scratch(output, partial).for_each(parts * len);
        to.kernel(wgsl!("shared/reduce_naive.wgsl"))
            .part("reduce")
            .set("PARTS", parts)
            .reads_scratch("partial", partial)
            .finish(Sums::Single, epilogue)
            .writes_as("y", output)
            .for_each(len);
        Ok(())
    }
}
