//! The state that an optimizer keeps for each weight between steps. Its storages are laid out like the weights, and
//! checkpoints include them.

use crate::ops::Parameter;
use crate::options::{Optimizer, StepOptions};

/// One kind of state, with a number for each weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptimizerState {
    /// `v` of [`crate::ops::sgd`]; 0 before the first step.
    Velocity,
    /// `m` of [`crate::ops::adam`]; 0 before the first step.
    FirstMoment,
    /// `v` of [`crate::ops::adam`]; 0 before the first step.
    SecondMoment,
    /// [`crate::ops::average`]; the weights themselves before the first step. If there is an average, it is used in
    /// evaluation.
    Average,
}

impl OptimizerState {
    /// All kinds.
    pub const ALL: [OptimizerState; 4] =
        [OptimizerState::Velocity, OptimizerState::FirstMoment, OptimizerState::SecondMoment, OptimizerState::Average];

    /// The state that a training step needs.
    pub fn needed(step: &StepOptions) -> Vec<OptimizerState> {
        let mut needed = match step.optimizer {
            Optimizer::Sgd { momentum, .. } if momentum > 0.0 => vec![OptimizerState::Velocity],
            Optimizer::Sgd { .. } => Vec::new(),
            Optimizer::Adam(_) | Optimizer::AdamW(_) => vec![OptimizerState::FirstMoment, OptimizerState::SecondMoment],
        };
        needed.extend(step.ema.map(|_| OptimizerState::Average));
        needed
    }

    /// Whether it exists for a parameter: values that are not learned have only an average.
    pub(super) fn is_of(self, parameter: &Parameter) -> bool {
        parameter.is_learned || self == OptimizerState::Average
    }

    /// Name of its storage, of its operand in formulas and, before a dot, prefix of its keys in files.
    pub fn name(self) -> &'static str {
        match self {
            OptimizerState::Velocity => "velocity",
            OptimizerState::FirstMoment => "first_moment",
            OptimizerState::SecondMoment => "second_moment",
            OptimizerState::Average => "average",
        }
    }

    /// Letter before that of the parameter in labels: `conv1.vw`.
    pub(super) fn letter(self) -> &'static str {
        match self {
            OptimizerState::Velocity => "v",
            OptimizerState::FirstMoment => "m",
            OptimizerState::SecondMoment => "s",
            OptimizerState::Average => "a",
        }
    }
}
