//! The random numbers of one image: PCG64-DXSM on a separate stream, and the few distributions that handwriting needs.

use std::f32::consts::TAU;

use rand::RngExt;
use rand::distr::Open01;
use rand_pcg::Pcg64Dxsm;

/// A random number generator with a fixed, documented algorithm.
pub(super) struct Dice {
    pub(super) numbers: Pcg64Dxsm,
    /// Factor on all deviations from the usual shape of a digit: 1 for a hurried hand, less for a steadier one.
    pub(super) spread: f32,
}

impl Dice {
    /// The stream `stream` of the generator with seed `seed`.
    pub(super) fn new(seed: u64, stream: u64) -> Dice {
        Dice { numbers: Pcg64Dxsm::new(seed.into(), stream.into()), spread: 1.0 }
    }

    /// Uniform in [low, high).
    pub(super) fn uniform(&mut self, (low, high): (f32, f32)) -> f32 {
        low + (high - low) * self.numbers.random::<f32>()
    }

    /// An angle in [0, 2 pi), radians.
    pub(super) fn angle(&mut self) -> f32 {
        self.uniform((0.0, TAU))
    }

    /// True with probability `share`.
    pub(super) fn chance(&mut self, share: f32) -> bool {
        self.uniform((0.0, 1.0)) < share
    }

    /// Exponential with mean 1; never 0.
    fn exponential(&mut self) -> f32 {
        -self.numbers.sample::<f32, _>(Open01).ln()
    }

    /// Normal with mean 0 and standard deviation `sd` times the spread: one half of a Box-Muller pair.
    pub(super) fn normal(&mut self, sd: f32) -> f32 {
        self.spread * sd * (2.0 * self.exponential()).sqrt() * self.angle().cos()
    }

    /// An index, drawn with probability proportional to its weight.
    pub(super) fn pick(&mut self, weights: impl Iterator<Item = f32> + Clone) -> usize {
        let mut left = self.uniform((0.0, weights.clone().sum()));
        let passed = weights.clone().take_while(|weight| {
            left -= weight;
            left >= 0.0
        });
        passed.count().min(weights.count() - 1)
    }

    /// `count` shares that sum to 1: equal if `contrast` is 0, and the larger it is, the more one of them dominates.
    pub(super) fn shares(&mut self, count: usize, contrast: f32) -> Vec<f32> {
        let mut shares: Vec<f32> = (0..count).map(|_| self.exponential().powf(contrast)).collect();
        let sum: f32 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= sum);
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts the mean and the standard deviation of 20,000 draws, each from a separate stream: the draws of one image
    /// must not depend on those of its neighbours. The tolerance is at least five standard errors.
    fn expect(mean: f32, sd: f32, draw: impl Fn(&mut Dice) -> f32) {
        let draws: Vec<f32> = (0..20_000).map(|stream| draw(&mut Dice::new(1, stream))).collect();
        let average = |terms: &mut dyn Iterator<Item = f32>| terms.sum::<f32>() / draws.len() as f32;
        let found = average(&mut draws.iter().copied());
        assert!((found - mean).abs() <= 0.04 * sd, "mean {found}, not {mean}");
        let deviation = average(&mut draws.iter().map(|x| (x - mean).powi(2))).sqrt();
        assert!((deviation - sd).abs() <= 0.05 * sd, "standard deviation {deviation}, not {sd}");
        let neighbours = average(&mut draws.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)));
        assert!(neighbours.abs() <= 0.04 * sd * sd, "covariance {neighbours} between neighbouring streams");
    }

    #[test]
    fn distributions_have_their_moments() {
        expect(3.0, 4.0 / 12.0_f32.sqrt(), |dice| dice.uniform((1.0, 5.0)));
        expect(0.0, 2.0, |dice| dice.normal(2.0));
        expect(0.2, 0.4, |dice| f32::from(dice.chance(0.2)));
        // Weights 1, 2, 1: mean 1, variance 1/2.
        expect(1.0, 0.5_f32.sqrt(), |dice| dice.pick([1.0, 2.0, 1.0].into_iter()) as f32);
    }

    #[test]
    fn shares_sum_to_one_and_obey_contrast() {
        for contrast in [0.0, 1.5, 4.0] {
            let shares = Dice::new(1, 1).shares(5, contrast);
            assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6, "contrast {contrast}: {shares:?}");
        }
        assert_eq!(Dice::new(1, 1).shares(4, 0.0), [0.25; 4]);
        let largest = |contrast| {
            let largest = |i| Dice::new(1, i).shares(5, contrast).into_iter().fold(0.0, f32::max);
            (0..1000).map(largest).sum::<f32>() / 1000.0
        };
        assert!(largest(1.5) > largest(1.0) + 0.05, "{} and {}", largest(1.5), largest(1.0));
    }
}
