//! The dice of one image: PCG64-DXSM on a stream of its own, and the few distributions that handwriting needs.

use std::f32::consts::TAU;

use rand::RngExt;
use rand_pcg::Pcg64Dxsm;

/// A random number generator of a fixed, documented algorithm.
pub(super) struct Dice(pub(super) Pcg64Dxsm);

impl Dice {
    /// Stream number `stream` of the numbers that belong to `seed`.
    pub(super) fn new(seed: u64, stream: u64) -> Dice {
        Dice(Pcg64Dxsm::new(seed.into(), stream.into()))
    }

    /// Uniform in [low, high).
    pub(super) fn uniform(&mut self, (low, high): (f32, f32)) -> f32 {
        low + (high - low) * self.0.random::<f32>()
    }

    /// An angle in [0, 2 pi), radians.
    pub(super) fn angle(&mut self) -> f32 {
        self.uniform((0.0, TAU))
    }

    /// True with probability `share`.
    pub(super) fn chance(&mut self, share: f32) -> bool {
        self.uniform((0.0, 1.0)) < share
    }

    /// Exponential with mean 1.
    fn exponential(&mut self) -> f32 {
        -(1.0 - self.uniform((0.0, 1.0))).ln()
    }

    /// Normal with mean 0 and standard deviation `sd`: one half of a Box-Muller pair.
    pub(super) fn normal(&mut self, sd: f32) -> f32 {
        sd * (2.0 * self.exponential()).sqrt() * self.angle().cos()
    }

    /// An index, with probability proportional to its weight.
    pub(super) fn pick(&mut self, weights: impl Iterator<Item = f32> + Clone) -> usize {
        let mut left = self.uniform((0.0, weights.clone().sum()));
        let passed = weights.clone().take_while(|weight| {
            left -= weight;
            left >= 0.0
        });
        passed.count().min(weights.count() - 1)
    }

    /// `count` shares that sum to 1, equal if `contrast` is 0; the larger it is, the more one of them dominates.
    pub(super) fn shares(&mut self, count: usize, contrast: f32) -> Vec<f32> {
        let mut shares: Vec<f32> = (0..count).map(|_| self.exponential().powf(contrast)).collect();
        let sum: f32 = shares.iter().sum();
        // Should all of them round to zero, nothing dominates.
        shares.iter_mut().for_each(|share| *share = if sum > 0.0 { *share / sum } else { 1.0 / count as f32 });
        shares
    }
}
