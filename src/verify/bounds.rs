//! How far a right result may be from the exact one. Each bound is a claim, with the reason beside it.
//!
//! Bounds count in [`U`]. WGSL grants a driver that sums are added in any order, that products are fused or not, and so
//! many units in the last place for each of its functions; whatever is beyond that is a mistake.

use crate::ops::Activation;

/// The spacing of f32 at 1: twice the largest relative error of a rounding.
pub const U: f64 = f32::EPSILON as f64;

/// What is not an element of a sum: below that, drivers may flush to zero.
pub(crate) const TINY: f64 = f32::MIN_POSITIVE as f64;

// ANCHOR: dot_bound
/// The bound of a dot product of `terms` terms in any order, from `magnitude`, the sum of absolute terms.
pub fn dot_bound(terms: usize, magnitude: &[f64]) -> Vec<f64> {
    let k = (terms + 2) as f64;
    magnitude.iter().map(|m| k * U / (1.0 - k * U) * m + k * TINY).collect()
}
// ANCHOR_END: dot_bound

/// The error of an activation itself. WGSL allows exp 3 + 2|x| ULP, division 2.5 and tanh the error of its expression in
/// exp; for |x| <= 8 that is below 40 u of 1, and the functions are below 1.
pub(crate) fn activation_error(activation: Activation) -> f64 {
    match activation {
        Activation::Identity | Activation::Relu => 0.0,
        Activation::Sigmoid | Activation::Tanh => 40.0 * U,
    }
}
