//! Schedules of the learning rate.

use super::value::{OrNone, Span};
use crate::error::{OptionError, check};
use serde::{Deserialize, Serialize};

/// How the learning rate changes over a run. [`crate::train::Rates`] gives the formulas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "schedule", rename_all = "kebab-case")]
pub enum Schedule {
    /// The rate does not change.
    #[default]
    Constant,
    /// The rate is multiplied by the same factor every few epochs.
    Step {
        /// Epochs between two drops.
        #[serde(rename = "step_size")]
        size: usize,
        /// Factor per drop.
        gamma: f64,
    },
    /// The rate falls by the same factor every epoch, a little with each step.
    Exponential {
        /// Factor per epoch.
        gamma: f64,
    },
    /// The rate falls along half a cosine.
    Cosine {
        /// The last rate, as a share of the first.
        end_factor: f64,
    },
    /// The rate rises, then falls, by default to below its first value.
    OneCycle {
        /// Share of the steps before the highest rate.
        peak_at: f64,
        /// The first rate, as a share of the highest.
        start_factor: f64,
        /// The last rate, as a share of the highest.
        end_factor: f64,
    },
}

impl Schedule {
    /// The name in options and files.
    pub fn name(&self) -> &'static str {
        match self {
            Schedule::Constant => "constant",
            Schedule::Step { .. } => "step",
            Schedule::Exponential { .. } => "exponential",
            Schedule::Cosine { .. } => "cosine",
            Schedule::OneCycle { .. } => "one-cycle",
        }
    }

    /// Whether the rates depend on the number of epochs, so that a run cannot be extended.
    pub fn has_an_end(&self) -> bool {
        matches!(self, Schedule::Cosine { .. } | Schedule::OneCycle { .. })
    }

    pub(super) fn validate(&self) -> Result<(), OptionError> {
        match self {
            Schedule::Constant => Ok(()),
            Schedule::Step { size, gamma } => {
                check(*size >= 1, "step_size", "must be at least 1", size)?;
                check(*gamma > 0.0 && *gamma <= 1.0, "gamma", "must be above 0 and at most 1", gamma)
            }
            Schedule::Exponential { gamma } => {
                check(*gamma > 0.0 && *gamma <= 1.0, "gamma", "must be above 0 and at most 1", gamma)
            }
            Schedule::Cosine { end_factor } => {
                check((0.0..=1.0).contains(end_factor), "end_factor", "must be from 0 to 1", end_factor)
            }
            Schedule::OneCycle { peak_at, start_factor, end_factor } => {
                check(*peak_at > 0.0 && *peak_at < 1.0, "peak_at", "must be above 0 and below 1", peak_at)?;
                let starts = *start_factor > 0.0 && *start_factor <= 1.0;
                check(starts, "start_factor", "must be above 0 and at most 1", start_factor)?;
                check((0.0..=1.0).contains(end_factor), "end_factor", "must be from 0 to 1", end_factor)
            }
        }
    }
}

/// The kinds of schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// The same rate throughout
    Constant,
    /// Drops after every so many epochs
    Step,
    /// Falls by a constant factor per epoch, a little with each step
    Exponential,
    /// Falls along half a cosine
    Cosine,
    /// Rises, then falls further
    OneCycle,
}

impl ScheduleKind {
    /// How the learning rate changes, with the schedule's own defaults: `falling to 0 along half a cosine`.
    pub fn words(self) -> &'static str {
        match self {
            ScheduleKind::Constant => "constant",
            ScheduleKind::Step => "falling to a tenth every ten epochs",
            ScheduleKind::Exponential => "falling by a tenth every epoch",
            ScheduleKind::Cosine => "falling to 0 along half a cosine",
            ScheduleKind::OneCycle => "rising and falling in one cycle",
        }
    }
}

/// The learning-rate schedule's part of a [`Recipe`](super::Recipe).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "Learning-rate schedule"))]
#[serde(default)]
pub struct ScheduleRecipe {
    /// Learning-rate schedule [default: constant]
    ///
    /// One that is given here replaces all options of its group in the network's `[training]` table.
    #[cfg_attr(feature = "cli", arg(long))]
    pub schedule: Option<ScheduleKind>,
    /// Epochs between two drops, for step [default: 10]
    #[cfg_attr(feature = "cli", arg(long, value_name = "EPOCHS"))]
    pub step_size: Option<usize>,
    /// Factor per drop for step, per epoch for exponential [default: 0.1 and 0.9]
    #[cfg_attr(feature = "cli", arg(long, value_name = "FACTOR"))]
    pub gamma: Option<f64>,
    /// Share of all steps before the highest rate, for one-cycle [default: 0.3]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHARE"))]
    pub peak_at: Option<f64>,
    /// First rate as a share of the learning rate, for one-cycle [default: 0.04]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHARE"))]
    pub start_factor: Option<f64>,
    /// Last rate as a share of the learning rate, for cosine and one-cycle [default: 0 and 0.000004]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHARE"))]
    pub end_factor: Option<f64>,
    /// Warm-up: raise the learning rate linearly over this many steps (500) or epochs (2epochs) first [default: none]
    #[cfg_attr(feature = "cli", arg(long, value_name = "STEPS|EPOCHS|none"))]
    pub warmup: Option<OrNone<Span>>,
}

options_of!(ScheduleRecipe: schedule, step_size, gamma, peak_at, start_factor, end_factor, warmup);

impl ScheduleRecipe {
    /// The chosen schedule; rejects options that belong to another one.
    pub(super) fn complete(&self) -> Result<Schedule, OptionError> {
        use ScheduleKind::{Constant, Cosine, Exponential, OneCycle, Step};
        let kind = self.schedule.unwrap_or(Constant);
        let belongs = |field: &'static str, given: bool, kinds: &[ScheduleKind], names: &str| {
            if !given || kinds.contains(&kind) {
                return Ok(());
            }
            let belongs = OptionError::new(field, "belongs to ").field("schedule");
            Err(belongs.and(format_args!(" {names}; give both or neither")))
        };
        belongs("step_size", self.step_size.is_some(), &[Step], "step")?;
        belongs("gamma", self.gamma.is_some(), &[Step, Exponential], "step or exponential")?;
        belongs("peak_at", self.peak_at.is_some(), &[OneCycle], "one-cycle")?;
        belongs("start_factor", self.start_factor.is_some(), &[OneCycle], "one-cycle")?;
        belongs("end_factor", self.end_factor.is_some(), &[Cosine, OneCycle], "cosine or one-cycle")?;
        Ok(match kind {
            Constant => Schedule::Constant,
            Step => Schedule::Step { size: self.step_size.unwrap_or(10), gamma: self.gamma.unwrap_or(0.1) },
            Exponential => Schedule::Exponential { gamma: self.gamma.unwrap_or(0.9) },
            Cosine => Schedule::Cosine { end_factor: self.end_factor.unwrap_or(0.0) },
            // PyTorch's defaults.
            OneCycle => Schedule::OneCycle {
                peak_at: self.peak_at.unwrap_or(0.3),
                start_factor: self.start_factor.unwrap_or(0.04),
                end_factor: self.end_factor.unwrap_or(4e-6),
            },
        })
    }
}
