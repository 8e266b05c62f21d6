//! pool2d: one number for each window and channel: the largest, the smallest, the mean, or the L2 norm.
//!
//! `x` is `[N,H,W,C]`, `y` `[N,P,Q,C]`; windows lie inside the image (padding valid), any size and stride.
//!
//! - max, min: `y = x[m]`, where `m` is the first extreme place of the window in row-major order: that is the rule for
//!   ties. The gradient goes to `m` alone, so the forward pass of a training step keeps `m`, the place's number in the
//!   window: a byte each, four to a word, the first in the lowest bits; a word each where a window has more than 256
//!   places.
//! - average: `y = sum x / (R S)`, so each place gets `dy / (R S)`.
//! - L2: `y = sqrt(sum x^2)`, so each place gets `dy x / y`, and 0 where y = 0.
//!
//! Where windows overlap, gradients add up. `dx` is multiplied by f'(x).
//!
//! Reading `x` of the forward pass from a texture mirror did not pay on lavapipe: pool1 of `case1` took 2.6 ms by vec4 from
//! the buffer, and 2.7 from a mirror with 0.8 more for the copy. In packs of 64-bit words it is a quarter faster.

mod cases;
mod cpu;
mod fast;
mod gpu;
mod layer;

pub(crate) use cases::{drawn, edge_cases};
pub use layer::{Pool2d, Settings, Stride};

use super::{Activation, Op};
use crate::shape::Window2d;

/// What becomes of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The largest value of a window
    Max,
    /// The smallest value of a window
    Min,
    /// The mean of a window
    Average,
    /// The Euclidean norm
    L2,
}

impl Kind {
    /// Whether one place of the window gives the value.
    pub fn is_extreme(self) -> bool {
        matches!(self, Kind::Max | Kind::Min)
    }
}

/// `x -> y`, or `x -> y m`
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// Input, window and places; its padding is zero.
    pub window: Window2d,
    /// What is computed.
    pub kind: Kind,
    /// Whether `m` is kept for a backward pass; of extremes only.
    pub keeps_m: bool,
}

/// `y m dy -> dx` of extremes, `x y dy -> dx` of the others, multiplied by f'(x)
#[derive(Clone, Copy, Debug)]
pub struct Backward {
    /// Input, window and places; its padding is zero.
    pub window: Window2d,
    /// What was computed.
    pub kind: Kind,
    /// The f that made `x`.
    pub producer: Activation,
}

fn output_len(window: &Window2d) -> usize {
    window.places() * window.channels
}

/// Numbers of `m` in a word.
fn per_word(window: &Window2d) -> usize {
    if window.area() <= 256 { 4 } else { 1 }
}

/// Words of `m`.
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
