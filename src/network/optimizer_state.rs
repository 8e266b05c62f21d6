//! What an optimizer keeps of each weight from step to step, beside the weight itself: storages laid out like the weights,
//! which a checkpoint holds too.

use crate::ops::Parameter;
use crate::options::{Optimizer, StepOptions};

/// A number that is kept beside each weight.
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
