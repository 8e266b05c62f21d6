//! How far a correct result may be from the exact one. Each bound is a claim, with its reason beside it.
//!
//! Bounds are multiples of [`U`]. WGSL lets a driver add the terms of a sum in any order, fuse products or not, and err
//! by a given number of units in the last place in each built-in function. Any error beyond that is a mistake.

use crate::ops::Activation;

/// The spacing of f32 at 1: twice the largest relative rounding error.
pub const U: f64 = f32::EPSILON as f64;

/// Magnitudes below this do not count as terms of a sum, because drivers may flush them to zero.
pub(crate) const TINY: f64 = f32::MIN_POSITIVE as f64;

// ANCHOR: dot_bound
/// The error bound of a dot product of `terms` terms, added in any order. `magnitude` holds the sum of the absolute
/// terms for each element.
pub fn dot_bound(terms: usize, magnitude: &[f64]) -> Vec<f64> {
    let k = (terms + 2) as f64;
    magnitude.iter().map(|m| k * U / (1.0 - k * U) * m + k * TINY).collect()
}
// ANCHOR_END: dot_bound

/// The error of an activation function itself. WGSL allows exp an error of 3 + 2|x| ULP, division 2.5 ULP, and tanh the
/// error of its expression in exp. For |x| <= 8 that is below 40 u relative to 1, and the functions are below 1.
pub(crate) fn activation_error(activation: Activation) -> f64 {
    match activation {
        Activation::Identity | Activation::Relu => 0.0,
        Activation::Sigmoid | Activation::Tanh => 40.0 * U,
    }
}
