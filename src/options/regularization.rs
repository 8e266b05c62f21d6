//! What keeps a network from learning its training images by heart, and its gradients within bounds.

use super::value::OrNone;
use crate::ops::augment::Augment;
use serde::{Deserialize, Serialize};

/// The regularization's part of a [`Recipe`](super::Recipe).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "Regularization"))]
#[serde(default)]
pub struct RegularizationRecipe {
    /// Share of each target that is spread over all classes while training; of the cross-entropy [default: 0]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHARE"))]
    pub label_smoothing: Option<f32>,
    /// Distort each training image anew: `digits`, or the most of each to either side, as in
    /// shift=2,rotation=10,scale=0.1,shear=0.1,elastic=1.5 (pixels, degrees, share, tangent, pixels) [default: none]
    #[cfg_attr(feature = "cli", arg(long, value_name = "AMOUNTS|none"))]
    pub augment: Option<OrNone<Augment>>,
    /// Scale the gradients of a step down if their norm over all weights is above this [default: none]
    #[cfg_attr(feature = "cli", arg(long, value_name = "NORM|none"))]
    pub clip_norm: Option<OrNone<f32>>,
    /// Keep an exponential moving average of the weights, of which each step keeps this share (0.999), or less while the
    /// run is young: at most (1 + n) / (10 + n) at step n. The average is what is evaluated and written [default: none]
    #[cfg_attr(feature = "cli", arg(long, value_name = "DECAY|none"))]
    pub ema: Option<OrNone<f32>>,
}

options_of!(RegularizationRecipe: label_smoothing, augment, clip_norm, ema);
