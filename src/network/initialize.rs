//! The initial weights of a network.
//!
//! Each parameter is drawn from its own generator, which depends on the seed and the parameter's name: changing one
//! layer leaves the weights of the others unchanged. Biases start at zero, the scales of a batch_norm at one.

use super::{Network, Weights};
use crate::ops::Start;
use rand::{Rng, RngExt};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

/// Distribution of the initial weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Initializer {
    /// Uniform within ±sqrt(6 / (fan in + fan out)) (Glorot and Bengio, 2010).
    #[default]
    GlorotUniform,
    /// Uniform within ±sqrt(6 / fan in) (He et al., 2015).
    HeUniform,
    /// Normal with variance 2 / fan in (He et al., 2015).
    HeNormal,
}

impl Initializer {
    /// Name in network files.
    pub fn name(self) -> &'static str {
        match self {
            Initializer::GlorotUniform => "glorot-uniform",
            Initializer::HeUniform => "he-uniform",
            Initializer::HeNormal => "he-normal",
        }
    }

    fn draw(self, [fan_in, fan_out]: [usize; 2], generator: &mut Pcg64) -> f32 {
        let (fan_in, fan_out) = (fan_in as f64, fan_out as f64);
        let mut uniform = |limit: f64| (2.0 * generator.random::<f64>() - 1.0) * limit;
        let value = match self {
            Initializer::GlorotUniform => uniform((6.0 / (fan_in + fan_out)).sqrt()),
            Initializer::HeUniform => uniform((6.0 / fan_in).sqrt()),
            Initializer::HeNormal => normal(generator) * (2.0 / fan_in).sqrt(),
        };
        value as f32
    }
}

/// A standard normal number by the Box-Muller transform, of which one result is enough here.
fn normal(generator: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - generator.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * generator.random::<f64>()).cos()
}

impl Network {
    /// Draws the initial weights: the same for the same seed, on every machine.
    pub fn initialize(&self, seed: u64) -> Weights {
        let values = self.parameters().into_iter().map(|of| match of.parameter.start {
            Start::Constant(value) => vec![value; of.parameter.len()],
            Start::Drawn(fans) => {
                let mut generator = generator(seed, &of.tensor);
                (0..of.parameter.len()).map(|_| self.initializer.draw(fans, &mut generator)).collect()
            }
        });
        Weights { values: values.collect() }
    }
}

/// A generator whose state and stream both depend on the name.
fn generator(seed: u64, name: &str) -> Pcg64 {
    // FNV-1a
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    Pcg64::new(u128::from(seed) << 64 | u128::from(hash), u128::from(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::from_toml("test", text).unwrap()
    }

    #[test]
    fn weights_are_within_the_limit_and_use_it() {
        let case1 = Network::open("case1").unwrap();
        for (of, values) in case1.parameters().iter().zip(case1.initialize(1).values) {
            assert_eq!(values.len(), of.parameter.len());
            let largest = values.iter().fold(0.0f32, |a, v| a.max(v.abs()));
            match of.parameter.start {
                Start::Constant(value) => assert_eq!((value, largest), (0.0, 0.0), "{}", of.tensor),
                Start::Drawn([fan_in, fan_out]) => {
                    let limit = (6.0 / (fan_in + fan_out) as f32).sqrt();
                    assert!(largest <= limit && largest > 0.95 * limit, "{}: {largest} of {limit}", of.tensor);
                    let mean = values.iter().sum::<f32>() / values.len() as f32;
                    // Four standard errors of the mean of a uniform distribution.
                    let bound = 4.0 * limit / 3.0f32.sqrt() / (values.len() as f32).sqrt();
                    assert!(mean.abs() <= bound, "{}: mean {mean}", of.tensor);
                }
            }
        }
    }

    #[test]
    fn he_normal_has_its_variance() {
        let mut case1 = Network::open("case1").unwrap();
        case1.initializer = Initializer::HeNormal;
        let values = &case1.initialize(1).values[4];
        let variance = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64;
        assert!((variance * 9216.0 / 2.0 - 1.0).abs() < 0.01, "{variance}");
    }

    #[test]
    fn a_seed_gives_the_same_weights_and_another_seed_others() {
        let lenet = Network::open("lenet5").unwrap();
        assert_eq!(lenet.initialize(7), lenet.initialize(7));
        let (seven, eight) = (lenet.initialize(7), lenet.initialize(8));
        assert!(seven.values[0].iter().zip(&eight.values[0]).all(|(a, b)| a != b));
    }

    #[test]
    fn layers_draw_independently() {
        let layers = |first: usize, middle: &str| {
            network(&format!(
                "input = [2, 2, 1]\n[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = {first}\n\
                 {middle}[[layers]]\ntype = 'dense'\nunits = 6\n[[layers]]\ntype = 'dense'\nunits = 6"
            ))
        };
        let one = layers(3, "").initialize(5).values;
        let other = layers(4, "[[layers]]\ntype = 'relu'\n").initialize(5).values;
        assert_eq!(one[4], other[4], "the third layer does not depend on the first, nor on the relu");
        assert_ne!(one[4][..6], one[2][..6], "two layers with one seed are equal");
    }
}
