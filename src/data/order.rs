//! The order in which an epoch visits the training images.
//!
//! Each epoch's permutation depends only on the pair (seed, epoch), not on earlier epochs: a run resumed at epoch 7
//! sees the same order as an uninterrupted run. Only `rand_pcg`'s generator and the few lines below determine it, so it
//! is the same on every machine and in every version.

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

/// A permutation of `0..len` for each epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    len: u32,
    seed: Option<u64>,
}

impl Order {
    /// A new random order of `0..len` in every epoch.
    pub fn shuffled(len: u32, seed: u64) -> Order {
        Order { len, seed: Some(seed) }
    }

    /// `0, 1, 2, …` in every epoch.
    pub fn sequential(len: u32) -> Order {
        Order { len, seed: None }
    }

    /// The image indices of this epoch: each of `0..len` once.
    pub fn epoch(&self, epoch: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.len).collect();
        if let Some(seed) = self.seed {
            shuffle(&mut order, &mut Pcg64::seed_from_u64(mix(seed, epoch as u64)));
        }
        order
    }
}

/// Fisher-Yates shuffle, starting at the end.
fn shuffle(order: &mut [u32], rng: &mut Pcg64) {
    for last in (1..order.len()).rev() {
        order.swap(last, below(last as u64 + 1, rng) as usize);
    }
}

/// A number in `0..bound`: the high half of a 64-bit draw times the bound. For bounds below 2^32 the bias is below
/// 2^-32.
pub(crate) fn below(bound: u64, rng: &mut Pcg64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
}

/// Derives a seed from a seed and a purpose; neighbouring inputs give unrelated outputs (SplitMix64's finalizer,
/// applied once for each word).
pub(crate) fn mix(seed: u64, purpose: u64) -> u64 {
    finalize(finalize(seed.wrapping_add(GOLDEN)) ^ purpose.wrapping_mul(GOLDEN))
}

/// 2^64 divided by the golden ratio, made odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn finalize(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_a_permutation() {
        for len in [0, 1, 2, 3, 31, 1000] {
            let mut order = Order::shuffled(len, 7).epoch(3);
            order.sort_unstable();
            assert_eq!(order, (0..len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn epochs_and_seeds_differ_but_repeat_themselves() {
        let order = Order::shuffled(100, 1);
        assert_eq!(order.epoch(5), Order::shuffled(100, 1).epoch(5));
        assert_ne!(order.epoch(5), order.epoch(6));
        assert_ne!(order.epoch(5), Order::shuffled(100, 2).epoch(5));
        // A key of seed + epoch or seed ^ epoch would repeat orders across seeds.
        assert_ne!(Order::shuffled(100, 1).epoch(2), Order::shuffled(100, 2).epoch(1));
        assert_ne!(Order::shuffled(100, 0).epoch(3), Order::shuffled(100, 3).epoch(0));
    }

    #[test]
    fn sequential_is_sequential() {
        assert_eq!(Order::sequential(4).epoch(9), [0, 1, 2, 3]);
    }

    /// Checkpoints rely on this: another generator would silently change the order in a resumed run.
    #[test]
    fn the_order_is_pinned() {
        assert_eq!(Order::shuffled(10, 1).epoch(0), [0, 4, 6, 3, 8, 1, 2, 7, 5, 9]);
    }

    /// Each index appears at each position equally often: 24 orders of 4, chi-squared with 23 degrees of freedom, whose
    /// 0.9999 quantile is 56.
    #[test]
    fn orders_are_equally_likely() {
        let mut counts = std::collections::HashMap::<Vec<u32>, f64>::new();
        let order = Order::shuffled(4, 11);
        let rounds = 24 * 200;
        for epoch in 0..rounds {
            *counts.entry(order.epoch(epoch)).or_default() += 1.0;
        }
        let chi2: f64 = counts.values().map(|count| (count - 200.0).powi(2) / 200.0).sum();
        assert_eq!(counts.len(), 24);
        assert!(chi2 <= 56.0, "chi-squared {chi2}");
    }
}
