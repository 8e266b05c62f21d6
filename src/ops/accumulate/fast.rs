use super::Add;
use crate::error::Result;
use crate::fast::sums::WORTH;
use crate::fast::{Fast, Team, vectorized};
use crate::reference::Tensors;
use rayon::prelude::*;

impl Fast for Add {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let gradients = tensors.input("gradients");
        let is_first = tensors.step.part == 0;
        let sum = tensors.output("sum");
        let part = team.part(self.len, WORTH);
        sum.par_chunks_mut(part).zip(gradients.par_chunks(part)).for_each(|(sum, gradients)| {
            if is_first {
                sum.copy_from_slice(gradients);
            } else {
                vectorized!(team, sum.iter_mut().zip(gradients).for_each(|(sum, value)| *sum += value));
            }
        });
        Ok(())
    }
}
