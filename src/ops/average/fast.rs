use super::Update;
use crate::error::Result;
use crate::fast::sums::WORTH;
use crate::fast::{Fast, Team, vectorized};
use crate::reference::Tensors;
use rayon::prelude::*;

impl Fast for Update {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let w = tensors.input("weights");
        let average = tensors.output("average");
        let decay = self.decay.min(tensors.step.average_limit);
        let part = team.part(self.len, WORTH);
        average.par_chunks_mut(part).zip(w.par_chunks(part)).for_each(|(average, w)| {
            vectorized!(team, {
                average.iter_mut().zip(w).for_each(|(average, w)| *average = decay * *average + (1.0 - decay) * w);
            });
        });
        Ok(())
    }
}
