//! What is kept of each weight from step to step, beside the weight itself: storages laid out like the weights, which a
//! checkpoint holds too.

use crate::ops::Parameter;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How gradients change weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// [`crate::ops::sgd`], with or without momentum.
    #[default]
    Sgd,
    /// [`crate::ops::adam`], with weight decay in the gradient.
    Adam,
    /// The same, with weight decay beside it.
    AdamW,
}

impl fmt::Display for Optimizer {
    /// As `--optimizer` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Optimizer::Sgd => "sgd",
            Optimizer::Adam => "adam",
            Optimizer::AdamW => "adamw",
        })
    }
}

/// A number beside each weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptimizerState {
    /// `v` of [`crate::ops::sgd`]; 0 before the first step.
    Velocity,
    /// `m` of [`crate::ops::adam`]; 0 before the first step.
    FirstMoment,
    /// `v` of [`crate::ops::adam`]; 0 before the first step.
    SecondMoment,
    /// [`crate::ops::average`]; the weights themselves before the first step. Where there is one, it is what is judged.
    Average,
}

impl OptimizerState {
    /// Each of them.
    pub const ALL: [OptimizerState; 4] =
        [OptimizerState::Velocity, OptimizerState::FirstMoment, OptimizerState::SecondMoment, OptimizerState::Average];

    /// Those that a training step needs.
    pub fn needed(optimizer: Optimizer, momentum: f32, averages: bool) -> Vec<OptimizerState> {
        let mut needed = match optimizer {
            Optimizer::Sgd if momentum > 0.0 => vec![OptimizerState::Velocity],
            Optimizer::Sgd => Vec::new(),
            Optimizer::Adam | Optimizer::AdamW => vec![OptimizerState::FirstMoment, OptimizerState::SecondMoment],
        };
        needed.extend(averages.then_some(OptimizerState::Average));
        needed
    }

    /// Whether there is one of each value of a parameter: of what is not learned there is an average alone.
    pub(super) fn is_of(self, parameter: &Parameter) -> bool {
        parameter.is_learned || self == OptimizerState::Average
    }

    /// Its storage, its operand in formulas, and in files, before a dot, the beginning of its keys.
    pub fn name(self) -> &'static str {
        match self {
            OptimizerState::Velocity => "velocity",
            OptimizerState::FirstMoment => "first_moment",
            OptimizerState::SecondMoment => "second_moment",
            OptimizerState::Average => "average",
        }
    }

    /// What stands before a parameter's letter: `conv1.vw`.
    pub(super) fn letter(self) -> &'static str {
        match self {
            OptimizerState::Velocity => "v",
            OptimizerState::FirstMoment => "m",
            OptimizerState::SecondMoment => "s",
            OptimizerState::Average => "a",
        }
    }
}
