//! [`Machine::first_not_finite`]: runs a step pass by pass until one of them produces a number that is not finite.

use super::{Backend, Machine, READ, Section, run_reference};
use crate::error::Result;
use crate::gpu::{Command, Operand};
use crate::memory;
use crate::ops::Step;
use crate::plan::{Element, Pass, Plan, Region};
use std::fmt;

/// The first number of a step that is not finite.
#[derive(Clone, Debug, PartialEq)]
pub struct NotFinite {
    /// The pass that produced it: `<layer>.<pass>`.
    pub label: String,
    /// The kernel that ran the pass; on the CPU, the operation.
    pub kernel: String,
    /// The tensor that contains it.
    pub tensor: String,
    /// Its index in the tensor.
    pub index: usize,
    /// The number: infinite or NaN.
    pub value: f32,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotFinite { label, kernel, tensor, index, value } = self;
        write!(f, "{label} (kernel {kernel}) computed {tensor}[{index}] = {value} from finite numbers")
    }
}

impl Machine {
    /// Runs one step of a section and reads back what each pass writes. Stops at the first pass that produces a number
    /// that is not finite; if all are finite, the step has been carried out as usual.
    ///
    /// # Errors
    ///
    /// Errors of the device, and [`crate::Error::Memory`] when there is no memory for a copy of a tensor.
    pub async fn first_not_finite(&mut self, section: Section, step: Step) -> Result<Option<NotFinite>> {
        let plan = &self.compiled.plan;
        let passes = section.of(&self.compiled);
        match &mut self.backend {
            Backend::Gpu { gpu, memory, programs, .. } => {
                let program = &programs[section.program()];
                for (index, command) in program.commands().enumerate().take(program.commands_of(0..passes.len()).end) {
                    program.submit_command(gpu, memory, &step, index)?;
                    let Command::Dispatch(dispatch) = command else { continue };
                    for (name, operand) in &dispatch.writes {
                        let (tensor, bytes) = match operand {
                            Operand::Buffer(region) if is_real(plan, region) => {
                                (tensor(plan, passes, &dispatch.label, region), memory.read(gpu, *region).await?)
                            }
                            Operand::Scratch(len) => (*name, memory.read_scratch(gpu, *len).await?),
                            Operand::Buffer(_) | Operand::Mirror(_) => continue,
                        };
                        let values: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
                        let found = find(&dispatch.label, dispatch.kernel.name(), tensor, &values);
                        if found.is_some() {
                            return Ok(found);
                        }
                    }
                }
                Ok(None)
            }
            Backend::Cpu(machine) => walk(plan, passes, |pass, regions| {
                machine.run(plan, std::slice::from_ref(pass), &[step])?;
                regions.iter().map(|region| memory::copied(machine.real(*region), READ)).collect()
            }),
            Backend::Reference(machine) => walk(plan, passes, |pass, regions| {
                run_reference(machine, plan, pass, step)?;
                regions.iter().map(|region| memory::copied(machine.real(*region), READ)).collect()
            }),
        }
    }
}

/// [`Machine::first_not_finite`] on the CPU: `run` runs a pass and returns the content of regions that it has written.
fn walk(
    plan: &Plan,
    passes: &[Pass],
    mut run: impl FnMut(&Pass, &[Region]) -> Result<Vec<Vec<f32>>>,
) -> Result<Option<NotFinite>> {
    for pass in passes {
        let tensors = pass.outputs.iter().map(|id| plan.get(*id)).filter(|tensor| is_real(plan, &tensor.region));
        let (names, regions): (Vec<_>, Vec<_>) = tensors.map(|tensor| (&tensor.name, tensor.region)).unzip();
        for (name, values) in names.into_iter().zip(run(pass, &regions)?) {
            let found = find(&pass.label, pass.op.name(), name, &values);
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

/// The name of the tensor that a dispatch writes, which is an output of its pass. Tensors of other passes may share the
/// same memory.
fn tensor<'a>(plan: &'a Plan, passes: &[Pass], label: &str, region: &Region) -> &'a str {
    let outputs = passes.iter().filter(|pass| label.starts_with(&pass.label)).flat_map(|pass| &pass.outputs);
    let found = outputs.map(|id| plan.get(*id)).find(|tensor| tensor.region == *region);
    found.map_or(&plan.storages[region.storage.0].name, |tensor| &tensor.name)
}

fn is_real(plan: &Plan, region: &Region) -> bool {
    plan.storages[region.storage.0].element == Element::Real
}

fn find(label: &str, kernel: &str, tensor: &str, values: &[f32]) -> Option<NotFinite> {
    let index = values.iter().position(|value| !value.is_finite())?;
    let (label, kernel, tensor) = (label.to_string(), kernel.to_string(), tensor.to_string());
    Some(NotFinite { label, kernel, tensor, index, value: values[index] })
}
