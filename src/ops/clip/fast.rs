use super::Scale;
use crate::error::Result;
use crate::fast::{Fast, Team, vectorized};
use crate::reference::Tensors;
use rayon::prelude::*;

/// Number of elements per partial sum, independent of the number of threads.
const PART: usize = 1 << 13;

impl Fast for Scale {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let gradient = tensors.input("gradient");
        let scale = tensors.output("scale");
        let mut shared = team.shared();
        let partial = shared.at_least(self.len.div_ceil(PART))?;
        partial.par_iter_mut().zip(gradient.par_chunks(PART)).for_each(|(partial, gradient)| {
            vectorized!(team, *partial = squares(gradient));
        });
        let norm = partial.iter().sum::<f32>().sqrt();
        scale[0] = if norm > self.most { self.most / norm } else { 1.0 };
        Ok(())
    }
}

/// The sum of squares, in lanes that the compiler can vectorize.
#[inline(always)]
fn squares(gradient: &[f32]) -> f32 {
    const LANES: usize = 64;
    let mut sums = [0.0; LANES];
    let (rows, rest) = gradient.as_chunks::<LANES>();
    for row in rows {
        (0..LANES).for_each(|lane| sums[lane] += row[lane] * row[lane]);
    }
    sums.iter().sum::<f32>() + rest.iter().map(|g| g * g).sum::<f32>()
}
