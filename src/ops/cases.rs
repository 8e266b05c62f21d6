//! The passes that all operations are verified on.

use super::{OPERATIONS, Op, Operation};
use crate::verify::draw::Draw;

/// Every pass at shapes that kernels are likely to get wrong; for each pass, the most revealing shapes come first.
pub fn edge_cases() -> Vec<Box<dyn Op>> {
    OPERATIONS.iter().flat_map(|operation| (operation.edge_cases)()).collect()
}

impl Operation {
    /// The passes at random shapes that a seed and a number determine.
    fn drawn_at(&self, seed: u64, number: usize) -> Vec<Box<dyn Op>> {
        (self.drawn)(&mut Draw::new(seed, self.name, number))
    }
}

/// About `count` passes at random shapes, each with its number within its operation. A seed and a number determine the
/// pass, no matter how many are drawn. See [`crate::verify::draw`].
pub fn drawn(seed: u64, count: usize) -> impl Iterator<Item = (usize, Box<dyn Op>)> {
    // In each round, every operation draws as many shapes as its share.
    let per_round: usize = OPERATIONS.iter().map(|operation| operation.share * operation.drawn_at(seed, 0).len()).sum();
    let rounds = count.div_ceil(per_round);
    let numbers =
        move |operation: &'static Operation| (0..rounds * operation.share).map(move |number| (operation, number));
    let passes = move |(operation, number): (&Operation, usize)| {
        operation.drawn_at(seed, number).into_iter().map(move |op| (number, op))
    };
    OPERATIONS.iter().flat_map(numbers).flat_map(passes)
}

/// The passes of every operation at the random shapes of this number.
pub(crate) fn drawn_at(seed: u64, number: usize) -> impl Iterator<Item = Box<dyn Op>> {
    OPERATIONS.iter().flat_map(move |operation| operation.drawn_at(seed, number))
}
