//! Launches naive kernels that add: one output an invocation, its sum split where it is too long for one.

use super::epilogue::{Epilogue, Sums};
use super::launch::KernelLaunch;
use super::turns::{MOST_TURNS, check_turns};
use crate::error::Result;
use crate::wgsl;

/// Most terms that one invocation adds.
const MOST_TERMS: usize = 16_384;

// A term may cost three turns.
const _: () = assert!(3 * MOST_TERMS <= MOST_TURNS);

/// A sum for each element of an output.
pub(super) struct Sum {
    /// Name of the tensor that is written.
    pub output: &'static str,
    /// Turns of the outer loop.
    pub rows: usize,
    /// Terms in each. A row is never split.
    pub row_terms: usize,
    /// What becomes of each sum.
    pub epilogue: Epilogue,
}

impl KernelLaunch<'_, '_> {
    /// Runs a kernel that adds `ROWS` rows from part * `ROWS` on: one dispatch; or where the terms are too many for it,
    /// parts, and a second dispatch that adds them in order.
    pub(super) fn sum(self, sum: Sum) -> Result<()> {
        let Sum { output, rows, row_terms, epilogue } = sum;
        check_turns(row_terms, "the channels or columns of one sum", "fewer of them")?;
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
