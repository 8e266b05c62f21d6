//! `--schedule` and what belongs to it.

use super::or_none::OrNone;
use clap::{Args, ValueEnum};
use shadegrad::train::{Schedule, Span, TrainOptions};
use shadegrad::{Error, Result};

#[derive(Args)]
pub struct ScheduleOptions {
    /// How the learning rate changes from step to step: in drops; down along half a cosine; or up and down in one cycle
    #[arg(long, default_value = "constant")]
    schedule: Kind,
    /// Of `step`: epochs from one drop to the next [default: 10]
    #[arg(long, value_name = "EPOCHS")]
    step_size: Option<usize>,
    /// Of `step`: what a drop multiplies the learning rate by [default: 0.1]
    #[arg(long, value_name = "FACTOR")]
    gamma: Option<f64>,
    /// Of `one-cycle`: share of the steps that lie before the highest rate, which is --learning-rate [default: 0.3]
    #[arg(long, value_name = "SHARE")]
    peak_at: Option<f64>,
    /// Of `one-cycle`: first rate, as a share of --learning-rate [default: 0.04]
    #[arg(long, value_name = "SHARE")]
    start_factor: Option<f64>,
    /// Of `cosine` and `one-cycle`: last rate, as a share of --learning-rate [default: 0 and 0.000004]
    #[arg(long, value_name = "SHARE")]
    end_factor: Option<f64>,
    /// Let the learning rate rise over so many steps (500) or epochs (2epochs) before the schedule begins
    #[arg(long, value_name = "STEPS|EPOCHS|none")]
    pub warmup: Option<OrNone<Span>>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Kind {
    Constant,
    Step,
    Cosine,
    OneCycle,
}

impl ScheduleOptions {
    /// The schedule that is asked for; an option of another one is refused.
    pub fn schedule(&self) -> Result<Schedule> {
        use Kind::{Cosine, OneCycle, Step};
        let belongs = |option: &str, given: bool, kinds: &[Kind], names: &str| {
            if !given || kinds.contains(&self.schedule) {
                return Ok(());
            }
            Err(Error::Usage(format!("{option} belongs to --schedule {names}; give both or neither")))
        };
        belongs("--step-size", self.step_size.is_some(), &[Step], "step")?;
        belongs("--gamma", self.gamma.is_some(), &[Step], "step")?;
        belongs("--peak-at", self.peak_at.is_some(), &[OneCycle], "one-cycle")?;
        belongs("--start-factor", self.start_factor.is_some(), &[OneCycle], "one-cycle")?;
        belongs("--end-factor", self.end_factor.is_some(), &[Cosine, OneCycle], "cosine or one-cycle")?;
        Ok(match self.schedule {
            Kind::Constant => Schedule::Constant,
            Kind::Step => Schedule::Step { size: self.step_size.unwrap_or(10), gamma: self.gamma.unwrap_or(0.1) },
            Kind::Cosine => Schedule::Cosine { end_factor: self.end_factor.unwrap_or(0.0) },
            // PyTorch's defaults.
            Kind::OneCycle => Schedule::OneCycle {
                peak_at: self.peak_at.unwrap_or(0.3),
                start_factor: self.start_factor.unwrap_or(0.04),
                end_factor: self.end_factor.unwrap_or(4e-6),
            },
        })
    }
}

/// Refuses another number of epochs for a run whose learning rates were laid over those that it has.
pub fn check_length(options: &TrainOptions, epochs: Option<usize>) -> Result<()> {
    let TrainOptions { schedule, epochs: begun, .. } = options;
    match epochs {
        Some(given) if schedule.has_an_end() && given != *begun => Err(Error::Usage(format!(
            "--epochs: the schedule `{}` is laid over the {begun} epochs that the run was begun with, got {given}; to train \
             on, start a new run from its weights by --init",
            schedule.name()
        ))),
        _ => Ok(()),
    }
}
