//! [`Machine::profile`]: times a section of the network command by command.

use super::{Backend, Machine, Section, run_reference};
use crate::clock::Instant;
use crate::error::Result;
use crate::gpu::{Clock, Command, Dispatch};
use crate::ops::Step;
use crate::plan::{Pass, Plan, TensorId};
use crate::profile::{Profile, Row, TimedBy};
use std::time::Duration;

/// Duration of the untimed warm-up.
const WARM_UP: Duration = Duration::from_millis(200);
/// Duration of the timing of whole steps.
const STEPS: Duration = Duration::from_millis(300);

/// Number of replays that are timed command by command.
const REPLAYS: std::ops::RangeInclusive<usize> = 3..=50;
/// Duration of the timed replays, as far as [`REPLAYS`] allows.
const REPLAYING: Duration = Duration::from_millis(500);

impl Machine {
    /// Times a step of a section, as a whole and command by command. Takes about a second, or about seven steps if they
    /// are slow. Restores weights and optimizer states afterwards.
    ///
    /// # Errors
    ///
    /// Errors of the device, and [`crate::Error::Memory`] when there is no memory for a copy of the weights.
    pub async fn profile(&mut self, section: Section, step: Step) -> Result<Profile> {
        let saved = self.save().await?;
        // With a learning rate of 0, a step can be repeated without changing the weights.
        let step = Step { learning_rate: 0.0, ..step };
        self.steps_for(WARM_UP, section, step).await?;
        let (step_seconds, host_seconds) = self.steps_for(STEPS, section, step).await?;
        let host_seconds = matches!(self.backend, Backend::Gpu { .. }).then_some(host_seconds);
        let replays = (REPLAYING.as_secs_f64() / step_seconds) as usize;
        let replays = replays.clamp(*REPLAYS.start(), *REPLAYS.end());
        let timed = self.time_commands(section, step, replays).await;
        self.restore(&saved);
        let (timed_by, rows) = timed?;
        Ok(Profile { timed_by, replays, step_seconds, host_seconds, rows })
    }

    /// Runs whole steps, at least one, for at least the duration `least`. Returns seconds per step, and those of them
    /// until the last command was submitted.
    async fn steps_for(&mut self, least: Duration, section: Section, step: Step) -> Result<(f64, f64)> {
        let start = Instant::now();
        let (mut run, mut done, mut host) = (1, 0, Duration::ZERO);
        while done == 0 || start.elapsed() < least {
            let before = Instant::now();
            self.run(section, &vec![step; run])?;
            host += before.elapsed();
            self.finish().await?;
            done += run;
            // Enough steps per submit to hide its overhead, as in training.
            if before.elapsed() < least / 4 {
                run = (2 * run).min(self.most_steps());
            }
        }
        let per_step = |seconds: Duration| seconds.as_secs_f64() / done as f64;
        Ok((per_step(start.elapsed()), per_step(host)))
    }

    async fn time_commands(&mut self, section: Section, step: Step, replays: usize) -> Result<(TimedBy, Vec<Row>)> {
        let plan = &self.compiled.plan;
        let passes = section.of(&self.compiled);
        let (timed_by, rows, seconds) = match &mut self.backend {
            Backend::Gpu { gpu, memory, programs, .. } => {
                let program = &programs[section.program()];
                let timed_by = match gpu.clock() {
                    Clock::Timestamps => TimedBy::Timestamps,
                    Clock::Repetition => TimedBy::Repetition,
                };
                let seconds = program.time(gpu, memory, &step, gpu.clock(), replays).await?;
                let rows: Vec<Row> = program.commands().map(|command| row(plan, passes, command)).collect();
                (timed_by, rows, seconds)
            }
            Backend::Cpu(machine) => {
                let seconds = time(passes, replays, |pass| machine.run(plan, std::slice::from_ref(pass), &[step]))?;
                (TimedBy::Host, passes.iter().map(cpu_row).collect(), seconds)
            }
            Backend::Reference(machine) => {
                let seconds = time(passes, replays, |pass| run_reference(machine, plan, pass, step))?;
                (TimedBy::Host, passes.iter().map(cpu_row).collect(), seconds)
            }
        };
        let rows = rows.into_iter().zip(seconds).map(|(row, seconds)| Row { seconds: median(seconds), ..row });
        Ok((timed_by, rows.collect()))
    }

    /// Copies of the tensors that a step changes and the next one reads.
    async fn save(&mut self) -> Result<Vec<(TensorId, Vec<f32>)>> {
        let tensors = &self.compiled.tensors;
        let mut saved = Vec::new();
        let banks: Vec<TensorId> =
            tensors.optimizer_states.iter().map(|(_, id)| *id).chain([tensors.weights]).collect();
        for id in banks {
            let len = self.compiled.plan.get(id).region.len;
            saved.push((id, self.read(id, 0..len).await?));
        }
        Ok(saved)
    }

    fn restore(&mut self, saved: &[(TensorId, Vec<f32>)]) {
        for (id, values) in saved {
            self.write(*id, values);
        }
    }
}

fn row(plan: &Plan, passes: &[Pass], command: &Command) -> Row {
    match command {
        Command::Dispatch(Dispatch { label, kernel, cost, .. }) => Row {
            label: label.clone(),
            kernel: kernel.name().to_string(),
            seconds: 0.0,
            flops: cost.flops,
            bytes: cost.bytes,
        },
        Command::Mirror { label, region } => Row {
            label: format!("{label}.copy"),
            kernel: format!("copy of {}", plan.name(passes.iter().find(|pass| pass.has_dispatch(label)), region)),
            seconds: 0.0,
            flops: 0,
            // Read once and written once.
            bytes: 8 * region.len as u64,
        },
    }
}

/// Seconds per pass, for each replay.
fn time(passes: &[Pass], replays: usize, mut run: impl FnMut(&Pass) -> Result<()>) -> Result<Vec<Vec<f64>>> {
    let mut seconds = vec![Vec::new(); passes.len()];
    for _ in 0..replays {
        for (pass, seconds) in passes.iter().zip(&mut seconds) {
            let start = Instant::now();
            run(pass)?;
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(seconds)
}

fn cpu_row(pass: &Pass) -> Row {
    let touched = pass.op.touched();
    let elements = |(name, len): (&'static str, usize)| {
        touched.iter().find(|(other, _)| *other == name).map_or(len, |(_, elements)| *elements)
    };
    let elements: usize = pass.op.inputs().into_iter().chain(pass.op.outputs()).map(elements).sum();
    let (label, kernel) = (pass.label.clone(), pass.op.name().to_string());
    Row { label, kernel, seconds: 0.0, flops: pass.op.flops(), bytes: 4 * elements as u64 }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        len if len % 2 == 1 => values[len / 2],
        len => (values[len / 2 - 1] + values[len / 2]) / 2.0,
    }
}
