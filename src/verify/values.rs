//! Numbers for cases: the same in every run, and chosen so that the results can be judged.

use super::case::{Given, Values};
use crate::ops::Activation;

/// Values in [-1, 1), the same in every run.
pub fn random(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// Whole numbers from -`most` to `most`.
pub fn integers(len: usize, most: u32, seed: u64) -> Vec<f32> {
    random(len, seed)
        .into_iter()
        .map(|v| (v * (most as f32 + 0.5)).round().clamp(-(most as f32), most as f32))
        .collect()
}

/// The operands of a layer with weights, for all of its passes.
#[derive(Clone, Debug)]
pub struct Operands {
    /// Input of the layer.
    pub x: Vec<f32>,
    /// Weights of the layer.
    pub w: Vec<f32>,
    /// Biases of the layer.
    pub b: Vec<f32>,
    /// The gradient of its output.
    pub dy: Vec<f32>,
}

impl Operands {
    /// Small whole numbers with products of at most 9, so that sums of up to a million terms are exact in any order.
    /// `lens` are the lengths of x, w, b and dy.
    pub fn integers(lens: [usize; 4]) -> Operands {
        Operands::new(lens, |len, seed| integers(len, 3, seed))
    }

    /// Random numbers with weights scaled as in a new network, so that sums stay where activations are curved. An
    /// output sums `fan` products.
    pub fn random(lens: [usize; 4], fan: usize) -> Operands {
        let mut operands = Operands::new(lens, random);
        operands.w.iter_mut().for_each(|w| *w /= (fan as f32).sqrt());
        operands
    }

    fn new(lens: [usize; 4], values: impl Fn(usize, u64) -> Vec<f32>) -> Operands {
        let [x, w, b, dy] = lens;
        Operands { x: values(x, 1), w: values(w, 2), b: values(b, 3), dy: values(dy, 4) }
    }

    /// Their absolute values, for sums of absolute terms.
    pub fn absolute(&self) -> Operands {
        let abs = |values: &[f32]| values.iter().map(|v| v.abs()).collect();
        Operands { x: abs(&self.x), w: abs(&self.w), b: abs(&self.b), dy: abs(&self.dy) }
    }

    /// The operands with these names, as tensors of a case.
    pub fn given(&self, names: &[&'static str]) -> Vec<Given> {
        let values = |name| match name {
            "x" => &self.x,
            "w" => &self.w,
            "b" => &self.b,
            _ => &self.dy,
        };
        names.iter().map(|name| (*name, Values::Real(values(*name).clone()))).collect()
    }

    /// `dy w x`, where x is mapped to values that the activation `producer` can output.
    pub fn given_behind(&self, producer: Activation) -> Vec<Given> {
        let output = |x: f32| match producer {
            Activation::Identity | Activation::Relu => x.max(0.0),
            Activation::Sigmoid => (x + 3.0) / 6.0,
            Activation::Tanh => x / 3.0,
        };
        let mut given = self.given(&["dy", "w"]);
        given.push(("x", Values::Real(self.x.iter().map(|x| output(*x)).collect())));
        given
    }
}
