//! pool2d: one value per window and channel: the maximum, the minimum, the mean, or the L2 norm.
//!
//! `x` is `[N,H,W,C]` and `y` is `[N,P,Q,C]`. Windows have any size and stride, and lie inside the image (no padding).
//!
//! - max, min: `y = x[m]`, where `m` is the position of the extreme value in the window, numbered in row-major order.
//!   In case of ties it is the first. The gradient goes to position `m` only, so the forward pass of a training step
//!   stores `m`: as bytes, four per word, the first in the lowest bits; or as whole words if a window has more than 256
//!   positions.
//! - average: `y = sum x / (R S)`, so each position gets the gradient `dy / (R S)`.
//! - L2: `y = sqrt(sum x^2)`, so each position gets the gradient `dy x / y`, or 0 if y = 0.
//!
//! Where windows overlap, gradients are added. `dx` is multiplied by f'(x).
//!
//! Rejected: reading `x` of the forward pass from a texture mirror. On lavapipe, pool1 of `case1` takes 2.6 ms by vec4
//! from the buffer, and 2.7 ms from a mirror plus 0.8 ms for the copy. In packs of 64-bit words it takes a quarter
//! less.

mod cases;
mod cpu;
mod fast;
mod gpu;
mod layer;

pub(crate) use cases::{drawn, edge_cases};
pub use layer::{Pool2d, Settings, Stride};

use super::dropout::Mask;
use super::{Activation, Op};
use crate::shape::Window2d;

/// The function that is applied to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The largest value of a window.
    Max,
    /// The smallest value of a window.
    Min,
    /// The mean of a window.
    Average,
    /// The Euclidean norm of a window.
    L2,
}

impl Kind {
    /// Whether the result is the value at a single position of the window.
    pub fn is_extreme(self) -> bool {
        matches!(self, Kind::Max | Kind::Min)
    }
}

/// The forward pass: reads `x` and writes `y`, and `m` if it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// Sizes of the input, the window and the output; the padding is zero.
    pub window: Window2d,
    /// The function that is computed.
    pub kind: Kind,
    /// Whether to store `m` for a backward pass; only for maximum and minimum.
    pub keeps_m: bool,
    /// The elements of `y` that a dropout layer behind this one drops.
    pub dropout: Option<Mask>,
}

/// The backward pass: reads `y`, `m` and `dy` for maximum and minimum, or `x`, `y` and `dy` otherwise; writes `dx`,
/// multiplied by f'(x).
#[derive(Clone, Copy, Debug)]
pub struct Backward {
    /// Sizes of the input, the window and the output; the padding is zero.
    pub window: Window2d,
    /// The function of the forward pass.
    pub kind: Kind,
    /// The activation f that produced `x`.
    pub producer: Activation,
    /// The elements of `y` that were dropped. Their `dy` is 0 already; the others are larger than what the windows gave.
    pub dropout: Option<Mask>,
}

impl Backward {
    /// The factor by which `y` has to be multiplied to obtain what the windows gave, where it was not dropped.
    pub(in crate::ops) fn kept(&self) -> f32 {
        self.dropout.map_or(1.0, |mask| mask.kept())
    }
}

fn output_len(window: &Window2d) -> usize {
    window.places() * window.channels
}

/// Number of elements of `m` per word.
fn per_word(window: &Window2d) -> usize {
    if window.area() <= 256 { 4 } else { 1 }
}

/// Length of `m` in words.
pub(crate) fn m_len(window: &Window2d) -> usize {
    output_len(window).div_ceil(per_word(window))
}

impl Op for Forward {
    fn name(&self) -> &'static str {
        "pool2d.forward"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("x", self.window.input_len())]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        let y = ("y", output_len(&self.window));
        if self.keeps_m { vec![y, ("m", m_len(&self.window))] } else { vec![y] }
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "pool2d.backward"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let out = output_len(&self.window);
        if self.kind.is_extreme() {
            vec![("y", out), ("m", m_len(&self.window)), ("dy", out)]
        } else {
            vec![("x", self.window.input_len()), ("y", out), ("dy", out)]
        }
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("dx", self.window.input_len())]
    }
}
