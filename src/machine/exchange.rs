//! [`Machine::run_exchanging`]: a training step with pauses in which ranks exchange what they have computed.

use super::{Backend, Machine, Section, run_reference};
use crate::error::Result;
use crate::gpu::{Gpu, Memory, Readback};
use crate::ops::Step;
use crate::plan::{Combine, Exchange, Plan, Region};
use std::collections::VecDeque;

/// Combines the values of a tensor with those of other ranks, in place.
pub type Combiner<'c> = dyn FnMut(Combine, &mut [f32]) -> Result<()> + 'c;

impl Machine {
    /// Runs a training step, or the passes that compute its gradients, and lets `combine` change the tensors of
    /// [`Compiled::exchanges`] on the way. It is given the values of all tensors of an exchange, one after another.
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
        // Those that do not belong come last, so that the others keep their places.
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
                        complete(gpu, memory, &mut waiting, combine).await?;
                    }
                    if done < exchange.after {
                        submit(done..exchange.after)?;
                        done = exchange.after;
                    }
                    readback.start(gpu, memory)?;
                    waiting.push_back((exchange, readback));
                }
                while !waiting.is_empty() {
                    complete(gpu, memory, &mut waiting, combine).await?;
                }
                submit(done..passes.len())
            }
            Backend::Cpu(machine) => {
                for exchange in exchanges {
                    machine.run(plan, &passes[done..exchange.after], &[step])?;
                    done = exchange.after;
                    combine_in_place(machine, |machine, region| machine.real(region), plan, exchange, combine)?;
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
                    combine_in_place(machine, |machine, region| machine.real(region), plan, exchange, combine)?;
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
    waiting: &mut VecDeque<(&Exchange, &mut Readback)>,
    combine: &mut Combiner<'_>,
) -> Result<()> {
    let Some((exchange, readback)) = waiting.pop_front() else { return Ok(()) };
    let mut values = readback.finish(gpu).await?;
    combine(exchange.combine, &mut values)?;
    divide(&values, readback.regions(), |region, own| memory.write(gpu, region, bytemuck::cast_slice(own)));
    Ok(())
}

/// Gives each region its part of values that follow each other.
fn divide(mut values: &[f32], regions: &[Region], mut give: impl FnMut(Region, &[f32])) {
    for region in regions {
        let (own, behind) = values.split_at(region.len);
        give(*region, own);
        values = behind;
    }
}

/// Combines the tensors of an exchange in the memory of the host, where `values` gives access to each.
fn combine_in_place<M>(
    machine: &mut M,
    values: impl Fn(&mut M, Region) -> &mut [f32],
    plan: &Plan,
    exchange: &Exchange,
    combine: &mut Combiner<'_>,
) -> Result<()> {
    let regions: Vec<Region> = exchange.tensors.iter().map(|id| plan.get(*id).region).collect();
    // Gradients are one large tensor, which need not be copied.
    if let [region] = regions[..] {
        return combine(exchange.combine, values(machine, region));
    }
    let mut all: Vec<f32> = Vec::new();
    regions.iter().for_each(|region| all.extend_from_slice(values(machine, *region)));
    combine(exchange.combine, &mut all)?;
    divide(&all, &regions, |region, own| values(machine, region).copy_from_slice(own));
    Ok(())
}
