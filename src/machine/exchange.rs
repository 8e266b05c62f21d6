//! [`Machine::run_exchanging`]: a training step with pauses in which ranks exchange what they have computed.

use super::{Backend, Machine, Section, run_reference};
use crate::error::Result;
use crate::gpu::{Gpu, Memory, Readback};
use crate::ops::Step;
use crate::plan::{Combine, Exchange, Plan};
use std::collections::VecDeque;

/// Combines the values of a tensor with those of other ranks, in place.
pub type Combiner<'c> = dyn FnMut(Combine, &mut [f32]) -> Result<()> + 'c;

impl Machine {
    /// Runs a training step, or the passes that compute its gradients, and lets `combine` change each tensor of
    /// [`Compiled::exchanges`] on the way.
    ///
    /// On a GPU, passes that need no result of an exchange run while the exchange is made.
    ///
    /// # Errors
    ///
    /// Errors of the device and of `combine`.
    ///
    /// [`Compiled::exchanges`]: crate::network::Compiled::exchanges
    pub async fn run_exchanging(&mut self, section: Section, step: Step, combine: &mut Combiner<'_>) -> Result<()> {
        let plan = &self.compiled.plan;
        let passes = section.of(&self.compiled);
        let is_whole = section == Section::Train;
        let belongs = |exchange: &&Exchange| is_whole || exchange.after < passes.len();
        let exchanges = self.compiled.exchanges.iter().filter(belongs);
        let mut done = 0;
        match &mut self.backend {
            Backend::Gpu { gpu, memory, programs, readbacks } => {
                let program = &programs[section.program()];
                let submit = |passes| {
                    let commands = program.commands_of(passes);
                    program.submit_ranges(gpu, memory, std::slice::from_ref(&step), |_| commands.clone())
                };
                let mut waiting: VecDeque<(&Exchange, &mut Readback)> = VecDeque::new();
                for (exchange, readback) in exchanges.zip(readbacks) {
                    while waiting.iter().any(|(earlier, _)| earlier.before < exchange.after) {
                        complete(gpu, memory, plan, &mut waiting, combine).await?;
                    }
                    if done < exchange.after {
                        submit(done..exchange.after)?;
                        done = exchange.after;
                    }
                    readback.start(gpu, memory)?;
                    waiting.push_back((exchange, readback));
                }
                while !waiting.is_empty() {
                    complete(gpu, memory, plan, &mut waiting, combine).await?;
                }
                submit(done..passes.len())
            }
            Backend::Cpu(machine) => {
                for exchange in exchanges {
                    machine.run(plan, &passes[done..exchange.after], &[step])?;
                    done = exchange.after;
                    combine(exchange.combine, machine.real(plan.get(exchange.tensor).region))?;
                }
                machine.run(plan, &passes[done..], &[step])
            }
            Backend::Reference(machine) => {
                let run = |machine: &mut _, range: std::ops::Range<usize>| {
                    passes[range].iter().try_for_each(|pass| run_reference(machine, plan, pass, step))
                };
                for exchange in exchanges {
                    run(machine, done..exchange.after)?;
                    done = exchange.after;
                    combine(exchange.combine, machine.real(plan.get(exchange.tensor).region))?;
                }
                run(machine, done..passes.len())
            }
        }
    }
}

/// Waits for the first of the exchanges that are under way, makes it, and uploads its result.
async fn complete(
    gpu: &Gpu,
    memory: &Memory,
    plan: &Plan,
    waiting: &mut VecDeque<(&Exchange, &mut Readback)>,
    combine: &mut Combiner<'_>,
) -> Result<()> {
    let Some((exchange, readback)) = waiting.pop_front() else { return Ok(()) };
    let region = plan.get(exchange.tensor).region;
    let mut values = vec![0.0; region.len];
    readback.finish(gpu, &mut values).await?;
    combine(exchange.combine, &mut values)?;
    memory.write(gpu, region, bytemuck::cast_slice(&values));
    Ok(())
}
