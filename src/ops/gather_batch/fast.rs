use super::Gather;
use crate::error::Result;
use crate::fast::{Fast, Team, vectorized};
use crate::ops::Reference;
use crate::reference::Tensors;
use rayon::prelude::*;

impl Fast for Gather {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        if cfg!(target_endian = "big") {
            // The fast path assumes that the first byte of a word is in its lowest bits.
            self.run_f32(tensors);
            return Ok(());
        }
        let images: &[u8] = bytemuck::cast_slice(tensors.input_int("images"));
        let (labels, order) = (tensors.input_int("labels"), tensors.input_int("order"));
        let x = tensors.output("x");
        let targets = tensors.output_int("targets");
        let first = tensors.step.first as usize;
        let count = (tensors.step.count as usize).min(self.batch);
        let order = &order[first..][..count];
        let (drawn, padding) = x.split_at_mut(count * self.pixels);
        padding.fill(0.0);
        let part = team.part(count, 1 + (1 << 14) / self.pixels);
        drawn.par_chunks_mut(part * self.pixels).zip(order.par_chunks(part)).for_each(|(x, order)| {
            vectorized!(team, {
                for (x, image) in x.chunks_exact_mut(self.pixels).zip(order) {
                    let bytes = &images[*image as usize * self.pixels..][..self.pixels];
                    x.iter_mut().zip(bytes).for_each(|(x, byte)| *x = f32::from(*byte) / 255.0);
                }
            });
        });
        let (drawn, padding) = targets.split_at_mut(count);
        padding.fill(0);
        drawn.iter_mut().zip(order).for_each(|(target, image)| *target = labels[*image as usize]);
        Ok(())
    }
}
