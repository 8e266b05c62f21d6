//! Times each command of a program.
//!
//! A device with timestamp queries records its clock at the beginning and at the end of a compute pass, so for the
//! measurement every dispatch gets a compute pass of its own. Without timestamps, each command is repeated in isolation
//! for long enough that the host's clock is accurate.

use super::device::Gpu;
use super::program::{Memory, Prepared, Program};
use super::recording::Command;
use crate::clock::Instant;
use crate::error::Result;
use std::time::Duration;

/// The clock that commands are timed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The device's clock, in replays of the whole program.
    Timestamps,
    /// The host's clock, around repetitions of one command. Its operands stay in the caches, and the time includes the
    /// submit.
    Repetition,
}

/// Number of commands per query set: WebGPU allows 4096 queries, and a command needs two.
const COMMANDS_PER_SET: usize = 2048;

/// Shortest time that the repetitions of a command must take together.
const LEAST: Duration = Duration::from_millis(10);

/// Largest number of repetitions per submit.
const MOST_REPETITIONS: u32 = 1024;

impl Gpu {
    /// The best clock that the device supports.
    pub fn clock(&self) -> Clock {
        let has_timestamps = self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        if has_timestamps { Clock::Timestamps } else { Clock::Repetition }
    }
}

impl Program {
    /// Seconds that each command takes, in the order of the recording, with one value per replay. With
    /// [`Clock::Repetition`], commands run out of order and more often than `replays` times, so the memory holds
    /// meaningless values afterwards.
    ///
    /// # Errors
    ///
    /// Errors that the device reports.
    pub async fn time<U: bytemuck::Pod>(
        &self,
        gpu: &Gpu,
        memory: &Memory,
        uniform: &U,
        clock: Clock,
        replays: usize,
    ) -> Result<Vec<Vec<f64>>> {
        memory.write_uniforms(gpu, std::slice::from_ref(uniform));
        let mut seconds = vec![Vec::new(); self.commands.len()];
        for _ in 0..replays {
            let mut at = 0;
            match clock {
                Clock::Timestamps => {
                    for commands in self.commands.chunks(COMMANDS_PER_SET) {
                        for measured in timestamps(gpu, memory, commands).await? {
                            seconds[at].push(measured);
                            at += 1;
                        }
                    }
                }
                Clock::Repetition => {
                    for (_, command) in &self.commands {
                        seconds[at].push(repetition(gpu, memory, command).await?);
                        at += 1;
                    }
                }
            }
        }
        Ok(seconds)
    }
}

/// Seconds of each command, by the device's clock.
async fn timestamps(gpu: &Gpu, memory: &Memory, commands: &[(Command, Prepared)]) -> Result<Vec<f64>> {
    let count = 2 * commands.len() as u32;
    let queries = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
        label: Some("profile"),
        ty: wgpu::QueryType::Timestamp,
        count,
    });
    let bytes = u64::from(count) * 8;
    let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
    let resolved = gpu.buffer("timestamps", bytes, usage)?;
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    for (index, (_, command)) in commands.iter().enumerate() {
        let (begin, end) = (Some(2 * index as u32), Some(2 * index as u32 + 1));
        let pass = |encoder: &mut wgpu::CommandEncoder, begin, end| {
            let writes = wgpu::ComputePassTimestampWrites {
                query_set: &queries,
                beginning_of_pass_write_index: begin,
                end_of_pass_write_index: end,
            };
            let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes: Some(writes) };
            encoder.begin_compute_pass(&descriptor).forget_lifetime()
        };
        match command {
            Prepared::Dispatch { kernel, group, groups } => {
                memory.dispatch(&mut pass(&mut encoder, begin, end), kernel, group, *groups, 0);
            }
            // A copy is not part of a compute pass, but only passes have timestamps on all devices: it is timed between
            // two empty passes.
            Prepared::Mirror(region) => {
                drop(pass(&mut encoder, None, begin));
                memory.copy_to_mirror(&mut encoder, region);
                drop(pass(&mut encoder, end, None));
            }
        }
    }
    encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
    gpu.queue.submit([encoder.finish()]);
    gpu.check("timing a program")?;
    let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&gpu.read("timestamps", &resolved, 0, bytes).await?);
    let seconds_per_tick = f64::from(gpu.queue.get_timestamp_period()) * 1e-9;
    let (pairs, _) = ticks.as_chunks::<2>();
    Ok(pairs.iter().map(|[begin, end]| end.saturating_sub(*begin) as f64 * seconds_per_tick).collect())
}

/// Seconds per run of one command, by the host's clock: the mean of as many repetitions as take at least [`LEAST`].
async fn repetition(gpu: &Gpu, memory: &Memory, command: &Prepared) -> Result<f64> {
    let mut count = 1;
    loop {
        let start = Instant::now();
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        match command {
            Prepared::Dispatch { kernel, group, groups } => {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                for _ in 0..count {
                    memory.dispatch(&mut pass, kernel, group, *groups, 0);
                }
            }
            Prepared::Mirror(region) => {
                for _ in 0..count {
                    memory.copy_to_mirror(&mut encoder, region);
                }
            }
        }
        gpu.queue.submit([encoder.finish()]);
        gpu.finish("timing a program").await?;
        let took = start.elapsed();
        if took >= LEAST || count >= MOST_REPETITIONS {
            return Ok(took.as_secs_f64() / f64::from(count));
        }
        count *= 2;
    }
}
