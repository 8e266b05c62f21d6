//! Options that limit overfitting and the size of gradients.

use super::value::OrNone;
use crate::ops::augment::Augment;
use serde::{Deserialize, Serialize};

/// The regularization's part of a [`Recipe`](super::Recipe).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "Regularization"))]
#[serde(default)]
pub struct RegularizationRecipe {
    /// Label smoothing: share of each target spread over all classes, for the cross-entropy [default: 0]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHARE"))]
    pub label_smoothing: Option<f32>,
    /// Distort each training image anew: `digits`, or amounts such as shift=2,rotation=10 [default: none]
    ///
    /// The amounts are the largest distortions in either direction: shift (pixels), rotation (degrees), scale (share), shear
    /// (tangent) and elastic (pixels). `digits` is shift=1.5,rotation=10,scale=0.1,shear=0.1,elastic=1.5.
    #[cfg_attr(feature = "cli", arg(long, value_name = "AMOUNTS|none"))]
    pub augment: Option<OrNone<Augment>>,
    /// Clip the gradients of a step to this norm over all weights [default: none]
    #[cfg_attr(feature = "cli", arg(long, value_name = "NORM|none"))]
    pub clip_norm: Option<OrNone<f32>>,
    /// Decay (0.999) of an exponential moving average of the weights, which is evaluated and saved [default: none]
    ///
    /// Step n keeps at most (1 + n) / (10 + n) of the average, so that it does not consist of the initial weights early on.
    #[cfg_attr(feature = "cli", arg(long, value_name = "DECAY|none"))]
    pub ema: Option<OrNone<f32>>,
}

options_of!(RegularizationRecipe: label_smoothing, augment, clip_norm, ema);
