//! The learning rate of each step: a pure function of the step's number, computed in `f64` and sent with the step. So a
//! resumed run has the same rates as one that was never interrupted.
//!
//! With `eta` the learning rate, `t` the step from 0, `T` the steps of all epochs and `W` those of the warm-up:
//!
//! - constant: `eta`
//! - step: `eta gamma^k`, where `k` is the number of complete periods of `size` epochs before `t`
//! - exponential: `eta gamma^(t / E)`, with `E` the steps of an epoch
//! - cosine (Loshchilov and Hutter 2017, equation 5, without restarts): from `eta` to `end_factor eta` along half a
//!   cosine, at the fraction `(t - W) / (T - W)` of it in step `t`
//! - one-cycle (Smith and Topin 2018, in PyTorch's form): along half a cosine from `start_factor eta` up to `eta` at
//!   step `peak_at T - 1`, then along another down to `end_factor eta` at the last step; momentum does not change
//! - a warm-up multiplies the first rates by `(t + 1) / W` (Goyal et al. 2017)

use crate::options::{OptionError, Schedule, Span};
use std::f64::consts::PI;

/// A schedule applied to the steps of a run.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    learning_rate: f32,
    schedule: Schedule,
    /// `W`, in steps.
    warmup: usize,
    epoch_steps: usize,
    /// `T`, in steps.
    total: usize,
}

impl Rates {
    /// The rates of a run of `epochs` epochs. Fails if the warm-up takes the whole run.
    pub fn new(
        learning_rate: f32,
        schedule: Schedule,
        warmup: Option<Span>,
        epoch_steps: usize,
        epochs: usize,
    ) -> Result<Rates, OptionError> {
        let total = epochs.saturating_mul(epoch_steps);
        let steps = warmup.map_or(0, |span| span.steps(epoch_steps));
        match warmup {
            Some(span) if steps >= total => {
                let problem =
                    format!("must be shorter than the run of {total} steps, got {span}; reduce it, or increase ");
                Err(OptionError::new("warmup", problem).field("epochs"))
            }
            _ => Ok(Rates { learning_rate, schedule, warmup: steps, epoch_steps, total }),
        }
    }

    /// The rate of a step, counted from 0.
    pub fn at(&self, step: usize) -> f32 {
        // A factor of 1 preserves the bits of the learning rate.
        (f64::from(self.learning_rate) * self.warm(step) * self.shape(step)) as f32
    }

    fn warm(&self, step: usize) -> f64 {
        if step < self.warmup { (step + 1) as f64 / self.warmup as f64 } else { 1.0 }
    }

    fn shape(&self, step: usize) -> f64 {
        let last = self.total.saturating_sub(1);
        let t = step.min(last) as f64;
        match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Step { size, gamma } => {
                let drops = step / self.epoch_steps.saturating_mul(size).max(1);
                gamma.powi(drops.min(i32::MAX as usize) as i32)
            }
            Schedule::Exponential { gamma } => gamma.powf(step as f64 / self.epoch_steps.max(1) as f64),
            Schedule::Cosine { end_factor } => {
                let (first, steps) = (self.warmup as f64, (self.total - self.warmup) as f64);
                cosine(1.0, end_factor, (t - first).max(0.0) / steps)
            }
            Schedule::OneCycle { peak_at, start_factor, end_factor } => {
                let peak = (peak_at * self.total as f64 - 1.0).max(0.0);
                let falls = last as f64 - peak;
                match () {
                    () if t < peak => cosine(start_factor, 1.0, t / peak),
                    // A run of a single step has only the peak rate.
                    () if falls > 0.0 => cosine(1.0, end_factor, (t - peak) / falls),
                    () => 1.0,
                }
            }
        }
    }
}

/// From one value to another along half a cosine, at the fraction `share` of the way.
fn cosine(from: f64, to: f64, share: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * share).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule, warmup: Option<Span>) -> Vec<f32> {
        let rates = Rates::new(0.1, schedule, warmup, 5, 4).unwrap();
        (0..20).map(|step| rates.at(step)).collect()
    }

    fn close(got: &[f32], expected: impl Fn(f64) -> f64) {
        for (step, got) in got.iter().enumerate() {
            let expected = 0.1 * expected(step as f64);
            // The learning rate is an f32, so the rates have no more precision.
            assert!((f64::from(*got) - expected).abs() <= 1e-7 * 0.1, "step {step}: {got}, expected {expected}");
        }
    }

    #[test]
    fn a_constant_rate_keeps_its_bits() {
        for rate in [0.03f32, 0.1, 1e-30, 1000.0, 0.1 + 0.2] {
            let rates = Rates::new(rate, Schedule::Constant, None, 7, 3).unwrap();
            assert!((0..40).all(|step| rates.at(step).to_bits() == rate.to_bits()), "{rate}");
        }
    }

    #[test]
    fn steps_drop_after_whole_epochs() {
        let by_hand = [1.0, 1.0, 0.5, 0.5];
        close(&rates(Schedule::Step { size: 2, gamma: 0.5 }, None), |t| by_hand[t as usize / 5]);
        close(&rates(Schedule::Step { size: 1, gamma: 0.1 }, None), |t| [1.0, 0.1, 0.01, 0.001][t as usize / 5]);
    }

    #[test]
    fn an_exponential_falls_by_its_factor_every_epoch() {
        let rates = rates(Schedule::Exponential { gamma: 0.5 }, None);
        close(&rates, |t| 0.5f64.powf(t / 5.0));
        assert_eq!((rates[0], rates[5], rates[10]), (0.1, 0.05, 0.025));
    }

    #[test]
    fn a_cosine_is_that_of_its_paper() {
        // eta_min + (eta - eta_min) (1 + cos(pi t / T)) / 2
        close(&rates(Schedule::Cosine { end_factor: 0.0 }, None), |t| 0.5 * (1.0 + (PI * t / 20.0).cos()));
        close(&rates(Schedule::Cosine { end_factor: 0.2 }, None), |t| 0.2 + 0.4 * (1.0 + (PI * t / 20.0).cos()));
        assert_eq!(rates(Schedule::Cosine { end_factor: 0.0 }, None)[10], 0.05);
    }

    #[test]
    fn a_cycle_is_that_of_pytorch() {
        // torch.optim.lr_scheduler.OneCycleLR(max_lr=0.1, total_steps=20, pct_start=0.3, div_factor=25,
        // final_div_factor=1e4), anneal_strategy "cos": phases end at 0.3 * 20 - 1 = 5 and at 19.
        let anneal = |from: f64, to: f64, share: f64| to + (from - to) / 2.0 * ((PI * share).cos() + 1.0);
        let cycle = Schedule::OneCycle { peak_at: 0.3, start_factor: 1.0 / 25.0, end_factor: 1.0 / 25.0 / 1e4 };
        let got = rates(cycle, None);
        close(
            &got,
            |t| {
                if t <= 5.0 { anneal(0.04, 1.0, t / 5.0) } else { anneal(1.0, 4e-6, (t - 5.0) / (19.0 - 5.0)) }
            },
        );
        assert_eq!((got[0], got[5]), (0.004, 0.1));
        assert!((got[19] / 4e-7 - 1.0).abs() < 1e-6, "{}", got[19]);
        // Too short to rise: these runs start at the peak.
        for (epoch_steps, first) in [(1, 0.1), (2, 0.1)] {
            let short = Rates::new(0.1, cycle, None, epoch_steps, 1).unwrap();
            assert_eq!(short.at(0), first);
            assert!((0..9).all(|step| short.at(step).is_finite()));
        }
    }

    #[test]
    fn a_warm_up_rises_to_the_schedule() {
        let warm = |t: f64| ((t + 1.0) / 4.0).min(1.0);
        close(&rates(Schedule::Constant, Some(Span::Steps(4))), warm);
        let drops = Schedule::Step { size: 1, gamma: 0.1 };
        let long = |t: f64| ((t + 1.0) / 10.0).min(1.0) * [1.0, 0.1, 0.01, 0.001][t as usize / 5];
        close(&rates(drops, Some(Span::Epochs(2))), long);
        // The cosine starts where the warm-up ends.
        let behind = |t: f64| if t < 4.0 { warm(t) } else { 0.5 * (1.0 + (PI * (t - 4.0) / 16.0).cos()) };
        close(&rates(Schedule::Cosine { end_factor: 0.0 }, Some(Span::Steps(4))), behind);
        for span in [Span::Steps(20), Span::Epochs(4), Span::Epochs(usize::MAX)] {
            let error = Rates::new(0.1, Schedule::Constant, Some(span), 5, 4).unwrap_err().to_string();
            assert!(error.contains("warmup must be shorter than the run of 20 steps, got"), "{error}");
        }
    }
}
