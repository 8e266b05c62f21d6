//! Steps of several ranks: each computes the gradients of its slice of the batch, and all apply the same update.

use super::{Division, Trainer};
use crate::data::hex;
use crate::error::Result;
use crate::machine::sections;
use crate::network::Weights;
use crate::ops::Step;
use crate::plan::Combine;
use crate::ranks::Collective;
use sha2::{Digest, Sha256};

impl Trainer<'_> {
    /// Runs steps one by one, with the exchanges of each.
    pub(super) async fn run_exchanging(&mut self, steps: &[Step]) -> Result<()> {
        let (ranks, division) = (self.ranks, self.division);
        for step in steps {
            for (part, section) in sections(&division.parts_of(step, ranks.rank(), self.syncs)) {
                let images = Images { division, whole: step.count as usize, part: part.part as usize };
                let mut combine = |how, values: &mut [f32]| combine(ranks, &images, how, values);
                self.machine.run_exchanging(section, part, &mut combine).await?;
            }
            if self.devices_differ {
                self.send_weights().await?;
            }
        }
        Ok(())
    }

    /// Replaces the weights of every rank by those of rank 0: ranks with different devices round an update differently.
    async fn send_weights(&mut self) -> Result<()> {
        for id in self.machine.compiled.tensors.banks() {
            let len = self.machine.compiled.plan.get(id).region.len;
            let mut values = self.machine.read(id, 0..len).await?;
            self.ranks.broadcast(&mut values)?;
            self.machine.write(id, &values);
        }
        Ok(())
    }

    /// Adds up the losses and the correct predictions of steps over all ranks.
    pub(super) fn sum_scores(&self, losses: &mut [f32], correct: &mut [u32]) -> Result<()> {
        if self.ranks.is_alone() {
            return Ok(());
        }
        // A count of images is exact in an f32, because a batch has at most 65,536.
        let mut sums: Vec<f32> = losses.iter().copied().chain(correct.iter().map(|count| *count as f32)).collect();
        self.ranks.sum(&mut sums)?;
        let (loss_sums, correct_sums) = sums.split_at(losses.len());
        losses.copy_from_slice(loss_sums);
        correct.iter_mut().zip(correct_sums).for_each(|(correct, sum)| *correct = *sum as u32);
        Ok(())
    }

    /// Fails if the weights of a rank have other bits than those of rank 0.
    pub(super) fn check_weights(&self, weights: &Weights) -> Result<()> {
        if self.ranks.is_alone() {
            return Ok(());
        }
        let step = self.progress.step;
        let what = format!("checksum of the weights after step {step}");
        self.ranks.check_same(
            &what,
            &checksum(weights.values.iter().map(|values| bytemuck::cast_slice(values))),
            "its device computes unreliably, or runs another program; check it by `shadegrad verify`, and resume from \
             the last checkpoint",
        )
    }
}

/// The numbers of images in a part of a batch.
struct Images {
    division: Division,
    /// Images in the whole batch.
    whole: usize,
    part: usize,
}

/// Combines the values of a tensor with those of the other ranks.
fn combine(ranks: &dyn Collective, images: &Images, how: Combine, values: &mut [f32]) -> Result<()> {
    let Images { division, whole, part } = *images;
    match how {
        Combine::Sum => ranks.sum(values),
        Combine::Mean => {
            let share = division.slice(whole, ranks.rank()).len() as f32 / whole as f32;
            values.iter_mut().for_each(|value| *value *= share);
            ranks.sum(values)
        }
        Combine::Moments => {
            let all = ranks.gather(bytemuck::cast_slice(values))?;
            let all: Vec<Vec<f32>> = all.iter().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).collect();
            let counts = division.counts(whole, part);
            let channels = values.len() / 2;
            let (means, variances) = values.split_at_mut(channels);
            for (channel, (mean, variance)) in means.iter_mut().zip(variances).enumerate() {
                let moments = all.iter().map(|values| [values[channel], values[channels + channel]].map(f64::from));
                [*mean, *variance] = pool(&counts, moments).map(|value| value as f32);
            }
            Ok(())
        }
    }
}

/// Mean and variance of the union of groups, of which sizes, means and variances are given: the variance is the mean of
/// the variances plus the variance of the means (Chan, Golub and LeVeque 1979).
fn pool(counts: &[usize], moments: impl Iterator<Item = [f64; 2]> + Clone) -> [f64; 2] {
    let total: f64 = counts.iter().map(|count| *count as f64).sum::<f64>().max(1.0);
    let weighted = |of: &dyn Fn([f64; 2]) -> f64| {
        moments.clone().zip(counts).map(|(moments, count)| of(moments) * *count as f64).sum::<f64>() / total
    };
    let mean = weighted(&|[mean, _]| mean);
    [mean, weighted(&|[own, variance]| variance + (own - mean).powi(2))]
}

/// A checksum of the bits of values.
fn checksum<'v>(parts: impl Iterator<Item = &'v [u8]>) -> String {
    let mut hash = Sha256::new();
    parts.for_each(|part| hash.update(part));
    hex(&hash.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_a_union() {
        // 1, 3 and 5, 5, 11: 1, 3, 5, 5, 11 has the mean 5 and the variance 56 / 5.
        let [mean, variance] = pool(&[2, 3], [[2.0, 1.0], [7.0, 8.0]].into_iter());
        assert!((mean - 5.0).abs() < 1e-12 && (variance - 56.0 / 5.0).abs() < 1e-12, "{mean} {variance}");
        // A group without members has no influence.
        assert_eq!(pool(&[0, 2], [[9.0, 9.0], [2.0, 1.0]].into_iter()), [2.0, 1.0]);
        assert_eq!(pool(&[0, 0], [[0.0, 0.0]; 2].into_iter()), [0.0, 0.0]);
    }
}
