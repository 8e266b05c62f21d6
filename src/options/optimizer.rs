//! How gradients change weights: gradient descent or Adam, with their parameters.

use crate::error::{OptionError, check};
use crate::ops::adam;
use serde::{Deserialize, Serialize};

/// How gradients change weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "optimizer", rename_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent ([`crate::ops::sgd`]).
    Sgd {
        /// mu: share of the previous step that is kept, at least 0 (plain gradient descent) and below 1.
        momentum: f32,
        /// Whether to use Nesterov momentum, which takes the gradient ahead along the momentum.
        nesterov: bool,
    },
    /// Adam ([`crate::ops::adam`]), with weight decay as part of the gradient.
    Adam(Moments),
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    AdamW(Moments),
}

/// Parameters of Adam's two moments of the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Decay of the first moment, the moving average of the gradient.
    pub beta1: f32,
    /// Decay of the second moment, the moving average of the squared gradient.
    pub beta2: f32,
    /// Added to the root of the second moment, so that steps stay finite where gradients are zero.
    pub epsilon: f32,
}

impl Default for Moments {
    /// The values of Kingma and Ba (2015).
    fn default() -> Self {
        Moments { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Optimizer::sgd(0.9)
    }
}

impl Optimizer {
    /// Gradient descent with momentum; 0 is plain gradient descent.
    pub const fn sgd(momentum: f32) -> Optimizer {
        Optimizer::Sgd { momentum, nesterov: false }
    }

    /// Adam with the parameters of its paper.
    pub fn adam() -> Optimizer {
        Optimizer::Adam(Moments::default())
    }

    /// AdamW with the parameters of Adam's paper.
    pub fn adamw() -> Optimizer {
        Optimizer::AdamW(Moments::default())
    }

    /// The name in options and files.
    pub fn name(&self) -> &'static str {
        match self {
            Optimizer::Sgd { .. } => "sgd",
            Optimizer::Adam(_) => "adam",
            Optimizer::AdamW(_) => "adamw",
        }
    }

    /// mu; 0 for Adam.
    pub fn momentum(&self) -> f32 {
        if let Optimizer::Sgd { momentum, .. } = self { *momentum } else { 0.0 }
    }

    /// The default learning rate. Adam moves every weight by about this much per step.
    pub fn usual_learning_rate(&self) -> f32 {
        if matches!(self, Optimizer::Sgd { .. }) { 0.03 } else { 0.001 }
    }

    /// Adam's bias corrections c1 and c2 at a step, counted from 0; 1 for gradient descent.
    pub fn corrections(&self, step: usize) -> [f32; 2] {
        match self {
            Optimizer::Sgd { .. } => [1.0; 2],
            Optimizer::Adam(moments) | Optimizer::AdamW(moments) => {
                adam::corrections(moments.beta1, moments.beta2, step)
            }
        }
    }

    pub(super) fn validate(&self) -> Result<(), OptionError> {
        match self {
            Optimizer::Sgd { momentum, nesterov } => {
                check((0.0..1.0).contains(momentum), "momentum", "must be at least 0 and below 1", momentum)?;
                if *nesterov && *momentum == 0.0 {
                    return Err(OptionError::new("nesterov", "needs ").field("momentum").and(" above 0, got 0"));
                }
                Ok(())
            }
            Optimizer::Adam(Moments { beta1, beta2, epsilon })
            | Optimizer::AdamW(Moments { beta1, beta2, epsilon }) => {
                check((0.0..1.0).contains(beta1), "beta1", "must be at least 0 and below 1", beta1)?;
                check((0.0..1.0).contains(beta2), "beta2", "must be at least 0 and below 1", beta2)?;
                check((1e-12..=1.0).contains(epsilon), "epsilon", "must be from 1e-12 to 1", epsilon)
            }
        }
    }
}

/// The kinds of optimizers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent
    Sgd,
    /// Adam
    Adam,
    /// Adam with decoupled weight decay
    // clap would name it `adam-w`.
    #[cfg_attr(feature = "cli", value(name = "adamw"))]
    AdamW,
}

/// The optimizer's part of a [`Recipe`](super::Recipe).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "Optimizer"))]
#[serde(default)]
pub struct OptimizerRecipe {
    /// Optimizer [default: sgd]
    ///
    /// One that is given here replaces all options of its group in the network's `[training]` table.
    #[cfg_attr(feature = "cli", arg(long))]
    pub optimizer: Option<OptimizerKind>,
    /// Learning rate; with a schedule, the highest rate [default: 0.03, with adam and adamw 0.001]
    #[cfg_attr(feature = "cli", arg(short, long, value_name = "RATE"))]
    pub learning_rate: Option<f32>,
    /// Momentum of sgd, from 0 (plain gradient descent) to below 1 [default: 0.9]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHARE"))]
    pub momentum: Option<f32>,
    /// Nesterov momentum, for sgd
    // It may take a value, so that a setting in the network's file can be turned off.
    #[cfg_attr(feature = "cli", arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_name = "true|false", hide_possible_values = true))]
    pub nesterov: Option<bool>,
    /// Decay of the first moment, for adam and adamw [default: 0.9]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHARE"))]
    pub beta1: Option<f32>,
    /// Decay of the second moment, for adam and adamw [default: 0.999]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHARE"))]
    pub beta2: Option<f32>,
    /// Term added to the denominator, for adam and adamw [default: 0.00000001]
    #[cfg_attr(feature = "cli", arg(long))]
    pub epsilon: Option<f32>,
    /// Weight decay: part of the gradient, or decoupled from it with adamw [default: 0]
    #[cfg_attr(feature = "cli", arg(long, value_name = "DECAY"))]
    pub weight_decay: Option<f32>,
}

options_of!(OptimizerRecipe: optimizer, learning_rate, momentum, nesterov, beta1, beta2, epsilon, weight_decay);

impl OptimizerRecipe {
    /// The chosen optimizer; rejects options that belong to another one.
    pub(super) fn complete(&self) -> Result<Optimizer, OptionError> {
        let kind = self.optimizer.unwrap_or(OptimizerKind::Sgd);
        let belongs = |field: &'static str, given: bool, fits: bool, names: &str| {
            if !given || fits {
                return Ok(());
            }
            let belongs = OptionError::new(field, "belongs to ").field("optimizer");
            Err(belongs.and(format_args!(" {names}; give both or neither")))
        };
        let sgd = kind == OptimizerKind::Sgd;
        belongs("momentum", self.momentum.is_some(), sgd, "sgd")?;
        belongs("nesterov", self.nesterov == Some(true), sgd, "sgd")?;
        belongs("beta1", self.beta1.is_some(), !sgd, "adam or adamw")?;
        belongs("beta2", self.beta2.is_some(), !sgd, "adam or adamw")?;
        belongs("epsilon", self.epsilon.is_some(), !sgd, "adam or adamw")?;
        let usual = Moments::default();
        let moments = Moments {
            beta1: self.beta1.unwrap_or(usual.beta1),
            beta2: self.beta2.unwrap_or(usual.beta2),
            epsilon: self.epsilon.unwrap_or(usual.epsilon),
        };
        Ok(match kind {
            OptimizerKind::Sgd => Optimizer::Sgd {
                momentum: self.momentum.unwrap_or(Optimizer::default().momentum()),
                nesterov: self.nesterov.unwrap_or(false),
            },
            OptimizerKind::Adam => Optimizer::Adam(moments),
            OptimizerKind::AdamW => Optimizer::AdamW(moments),
        })
    }
}
