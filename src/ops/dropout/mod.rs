//! dropout, inverted: `y[i] = x[i] / (1 - rate)` with probability `1 - rate`, otherwise 0.
//!
//! Which elements are dropped is determined by a counter-based random number generator, Threefry-4x32 with 20 rounds
//! (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), with the key (seed low, seed high, step,
//! layer) and the counter (i / 4, 0, 0, 0): an element is dropped if word `i % 4` of the result is below `rate * 2^32`.
//! Nothing is stored: the backward pass generates the same words again, and so does every other device.
//!
//! Elements are counted over the whole batch, so that a slice of it ([`Step::row`]) drops the elements that the whole
//! batch would drop there. Slices begin at a multiple of 4 elements.
//!
//! Usually dropout needs no pass of its own: the preceding layer drops elements where it stores them, and the next layer
//! drops the same elements of its input gradient ([`Mask`]). The passes here are used where that is not possible.
//!
//! Each counter gives the words for four elements. On lavapipe a pass over 921,600 elements takes 0.92 ms in packs, or
//! 1.28 ms by vec4; the random numbers take about 0.37 ms of that.

mod cases;
mod cpu;
mod fast;
mod gpu;
mod layer;

pub(crate) use cases::{drawn, edge_cases};
pub(super) use cpu::threefry;
pub use layer::Dropout;

use super::{Activation, Op, Step};

/// Which elements a layer drops in a step, and the factor for the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mask {
    /// Probability of dropping an element, in [0, 1).
    pub rate: f64,
    /// Index of the dropout layer in its network, which is part of the key.
    pub layer: u32,
    /// Number of elements per image.
    pub width: usize,
}

/// The forward pass: reads `x` and writes `y`.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// Number of elements of each tensor.
    pub len: usize,
    /// The elements that are dropped.
    pub mask: Mask,
}

/// The backward pass: reads `dy` and writes `dx`. If the producer is not the identity, also reads `x` and multiplies by
/// f'(x).
#[derive(Clone, Copy, Debug)]
pub struct Backward {
    /// Number of elements of each tensor.
    pub len: usize,
    /// The elements that are dropped.
    pub mask: Mask,
    /// The activation f that produced `x`.
    pub producer: Activation,
}

/// The number of images of which a slice of a batch must begin at a multiple, so that the slice begins at a multiple of
/// 4 elements where images have `width` elements: 1, 2 or 4.
pub(crate) fn rows(width: usize) -> usize {
    [1, 2].into_iter().find(|rows| (rows * width).is_multiple_of(4)).unwrap_or(4)
}

impl Mask {
    /// The index of a slice's first element in the whole batch.
    fn first(&self, step: &Step) -> usize {
        step.row as usize * self.width
    }

    /// An element is dropped if its random word is below this threshold.
    pub(crate) fn threshold(&self) -> u32 {
        (self.rate * 4_294_967_296.0).round().clamp(0.0, f64::from(u32::MAX)) as u32
    }

    /// The factor for kept elements: `1 / (1 - rate)`, rounded to `f32`, so that it is the same number on every device.
    pub(crate) fn scale(&self) -> f32 {
        (1.0 / (1.0 - self.rate)) as f32
    }

    /// The factor that undoes [`Mask::scale`], except for rounding: `1 - rate`.
    pub(crate) fn kept(&self) -> f32 {
        (1.0 - self.rate) as f32
    }
}

impl Op for Forward {
    fn name(&self) -> &'static str {
        "dropout.forward"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("x", self.len)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("y", self.len)]
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "dropout.backward"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        super::with_producer(self.producer, self.len, vec![("dy", self.len)])
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("dx", self.len)]
    }
}
