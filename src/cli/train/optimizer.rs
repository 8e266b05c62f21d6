//! `--optimizer` and what belongs to it.

use super::or_none::OrNone;
use clap::{ArgAction, Args, ValueEnum};
use shadegrad::network::Optimizer;
use shadegrad::train::TrainOptions;
use shadegrad::{Error, Result};

#[derive(Args)]
pub struct OptimizerOptions {
    /// How gradients change weights: gradient descent, Adam, or Adam with decoupled weight decay
    #[arg(long, default_value = "sgd")]
    optimizer: Kind,
    /// Step of gradient descent [default: 0.03, with adam and adamw 0.001]
    #[arg(long)]
    learning_rate: Option<f32>,
    /// Of `sgd`: share of the former step that is kept, from 0 (plain gradient descent) to below 1 [default: 0.9]
    #[arg(long)]
    momentum: Option<f32>,
    /// Of `sgd`: look ahead along the momentum
    // It may take a value, so that what a network's file says can be taken back.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value_t = false, value_name = "true|false", hide_default_value = true, hide_possible_values = true)]
    nesterov: bool,
    /// Of `adam` and `adamw`: share of the first moment that a step keeps [default: 0.9]
    #[arg(long)]
    beta1: Option<f32>,
    /// Of `adam` and `adamw`: share of the second moment that a step keeps [default: 0.999]
    #[arg(long)]
    beta2: Option<f32>,
    /// Of `adam` and `adamw`: what keeps a step finite where gradients are zero [default: 0.00000001]
    #[arg(long)]
    epsilon: Option<f32>,
    /// Pull of the weights towards zero: added to the gradient, with `adamw` beside it
    #[arg(long, default_value_t = 0.0)]
    weight_decay: f32,
    /// Scale the gradients of a step down if their norm over all weights is above this
    #[arg(long, value_name = "NORM|none")]
    clip_norm: Option<OrNone<f32>>,
    /// Keep an average of the weights, of which each step keeps this share (0.999), and evaluate and write that
    #[arg(long, value_name = "DECAY|none")]
    ema: Option<OrNone<f32>>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Sgd,
    Adam,
    // Not `adam-w`, which clap would make of it.
    #[value(name = "adamw")]
    AdamW,
}

/// Of adam and adamw, which move every weight by about as much.
const ADAM_RATE: f32 = 0.001;

impl OptimizerOptions {
    /// The optimizer that is asked for, in `options`; an option of another one is refused.
    pub fn apply(&self, options: TrainOptions) -> Result<TrainOptions> {
        let belongs = |option: &str, given: bool, fits: bool, names: &str| {
            if !given || fits {
                return Ok(());
            }
            Err(Error::Usage(format!("{option} belongs to --optimizer {names}; give both or neither")))
        };
        let sgd = matches!(self.optimizer, Kind::Sgd);
        belongs("--momentum", self.momentum.is_some(), sgd, "sgd")?;
        belongs("--nesterov", self.nesterov, sgd, "sgd")?;
        belongs("--beta1", self.beta1.is_some(), !sgd, "adam or adamw")?;
        belongs("--beta2", self.beta2.is_some(), !sgd, "adam or adamw")?;
        belongs("--epsilon", self.epsilon.is_some(), !sgd, "adam or adamw")?;
        Ok(TrainOptions {
            optimizer: match self.optimizer {
                Kind::Sgd => Optimizer::Sgd,
                Kind::Adam => Optimizer::Adam,
                Kind::AdamW => Optimizer::AdamW,
            },
            learning_rate: self.learning_rate.unwrap_or(if sgd { options.learning_rate } else { ADAM_RATE }),
            momentum: self.momentum.unwrap_or(if sgd { options.momentum } else { 0.0 }),
            nesterov: self.nesterov,
            beta1: self.beta1.unwrap_or(options.beta1),
            beta2: self.beta2.unwrap_or(options.beta2),
            epsilon: self.epsilon.unwrap_or(options.epsilon),
            weight_decay: self.weight_decay,
            clip_norm: self.clip_norm.and_then(|norm| norm.0),
            ema: self.ema.and_then(|decay| decay.0),
            ..options
        })
    }
}
