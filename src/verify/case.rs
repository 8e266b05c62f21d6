//! One pass by itself: run on the device, on the CPU and on the reference, from the same f32 inputs.
//!
//! Outputs start filled with NaN, and every storage has a guard tail that must stay unchanged, because a driver's
//! bounds checks hide stray indices. On the device each case runs twice and must give the same bits.

use super::expected::Finding;
use crate::error::Result;
use crate::fast::{self, Team};
use crate::gpu::{Command, Gpu, Memory, Operand, Program, Recording};
use crate::ops::{self, KernelConfig, Op, Step};
use crate::plan::{Element, Pass, Plan, Region, TensorId};
use crate::reference::{Real, ReferenceBackend};
use std::sync::Arc;

const GUARD: usize = 64;
const GUARD_BITS: u32 = 0xdead_beef;
const POISON_BITS: u32 = 0x7fc0_dead;

/// The content of a tensor.
#[derive(Clone, Debug)]
pub enum Values {
    /// Floating-point numbers.
    Real(Vec<f32>),
    /// Unsigned integers: counts, labels or packed bytes.
    Int(Vec<u32>),
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Self {
        Values::Real(values)
    }
}
impl From<Vec<u32>> for Values {
    fn from(values: Vec<u32>) -> Self {
        Values::Int(values)
    }
}

impl Values {
    fn bits(&self) -> Vec<u32> {
        match self {
            Values::Real(values) => values.iter().map(|v| v.to_bits()).collect(),
            Values::Int(values) => values.clone(),
        }
    }
    fn element(&self) -> Element {
        match self {
            Values::Real(_) => Element::Real,
            Values::Int(_) => Element::Int,
        }
    }
    fn len(&self) -> usize {
        match self {
            Values::Real(values) => values.len(),
            Values::Int(values) => values.len(),
        }
    }
}

/// A tensor of a case: its name in the operation and its content before the pass. An output that the pass only writes
/// is left out, or listed as integers if it holds integers.
pub type Given = (&'static str, Values);

/// The result in one output tensor.
#[derive(Clone, Debug)]
pub struct Output {
    /// Name of the tensor in the operation.
    pub name: &'static str,
    /// Type of the elements.
    pub element: Element,
    /// Bit pattern of each element.
    pub bits: Vec<u32>,
}

impl Output {
    /// The elements as floats.
    pub fn real(&self) -> Vec<f32> {
        self.bits.iter().map(|bits| f32::from_bits(*bits)).collect()
    }
}

/// One pass with its operands, ready to run on any device.
pub struct Case {
    plan: Plan,
    pass: Pass,
    given: Vec<(TensorId, Values)>,
    outputs: Vec<(&'static str, TensorId, Element)>,
    /// The per-step uniform.
    pub step: Step,
}

impl Case {
    /// A pass with the content of its tensors; tensors that the pass does not have are ignored.
    ///
    /// # Panics
    /// If an input is missing and, in debug builds, if a length is wrong. Both are mistakes in the case, which no user
    /// input can cause.
    pub fn new(op: impl Op + 'static, given: Vec<Given>) -> Case {
        let mut plan = Plan::default();
        let mut bound = Vec::new();
        let find = |name: &str| given.iter().find(|(known, _)| *known == name).map(|(_, values)| values.clone());
        let mut tensor = |plan: &mut Plan, name: &'static str, len: usize, values: Values| {
            debug_assert_eq!(values.len(), len, "{}: length of {name}", op.name());
            let id = plan.tensor(name, &[len], values.element());
            bound.push((id, values));
            id
        };
        let mut inputs = Vec::new();
        for (name, len) in op.inputs() {
            let values = find(name).unwrap_or_else(|| unreachable!("{}: no values for {name}", op.name()));
            inputs.push(tensor(&mut plan, name, len, values));
        }
        let mut outputs = Vec::new();
        for (name, len) in op.outputs() {
            let values = find(name).unwrap_or_else(|| Values::Real(vec![f32::from_bits(POISON_BITS); len]));
            let element = values.element();
            outputs.push((name, tensor(&mut plan, name, len, values), element));
        }
        let written: Vec<TensorId> = outputs.iter().map(|(_, id, _)| *id).collect();
        let pass = plan.pass(op.name(), op, &inputs, &written);
        let step = Step { seed_low: 7, seed_high: 11, step: 3, count: u32::MAX, learning_rate: 0.1, ..Step::default() };
        Case { plan, pass, given: bound, outputs, step }
    }

    /// The same case with another per-step uniform.
    pub fn with_step(mut self, step: Step) -> Case {
        self.step = step;
        self
    }

    /// Name of the pass: `conv2d.backward_weight`.
    pub fn name(&self) -> &str {
        &self.pass.label
    }

    /// The reference's outputs, computed in `F`, as f64.
    pub fn reference<F: Real>(&self) -> Vec<(&'static str, Vec<f64>)> {
        let mut machine = ReferenceBackend::<F>::new(&self.plan);
        for (id, values) in &self.given {
            let region = self.plan.get(*id).region;
            match values {
                Values::Real(values) => {
                    let to = machine.real(region).iter_mut();
                    to.zip(values).for_each(|(to, from)| *to = F::of(f64::from(*from)));
                }
                Values::Int(values) => machine.int(region).copy_from_slice(values),
            }
        }
        machine.run(&self.plan, &self.pass, self.step);
        let mut read = |(name, id, element): &(&'static str, TensorId, Element)| {
            let region = self.plan.get(*id).region;
            let values = match element {
                // Every f32 and f64 has an f64 value.
                Element::Real => machine.real(region).iter().map(|v| v.to_f64().unwrap_or(f64::NAN)).collect(),
                Element::Int => machine.int(region).iter().map(|v| f64::from(*v)).collect(),
            };
            (*name, values)
        };
        self.outputs.iter().map(&mut read).collect()
    }

    /// Name and place of each tensor of the pass, each once, and whether the pass writes it.
    pub(super) fn tensors(&self) -> Vec<(&'static str, Region, bool)> {
        let op = &self.pass.op;
        let outputs = self.outputs.iter().map(|(name, id, _)| (*name, *id, true));
        let inputs = op.inputs().into_iter().zip(&self.pass.inputs).map(|((name, _), id)| (name, *id, false));
        let region = |(name, id, is_written)| (name, self.plan.get(id).region, is_written);
        outputs.chain(inputs).map(region).collect()
    }

    /// The dispatches of the pass with this kernel configuration.
    pub fn recording(&self, config: &KernelConfig) -> Result<Recording> {
        let mut recording = Recording::new();
        ops::record(&self.plan, &self.pass, config, &mut recording)?;
        Ok(recording)
    }

    /// Runs a recording of the pass twice. Reports a guard or an input that has changed, and bits that differ between
    /// the runs.
    pub async fn on_gpu(&self, gpu: &Gpu, mut recording: Recording) -> Result<Vec<Output>, Finding> {
        widen(&mut recording);
        let storages: Vec<(String, usize)> =
            self.plan.storages.iter().map(|s| (s.name.clone(), with_guard(s.len))).collect();
        let memory = Memory::new(gpu, &storages, &[&recording], size_of::<Step>())?;
        let program = Program::new(gpu, &memory, &recording)?;
        let first = self.replay(gpu, &memory, &program).await?;
        let second = self.replay(gpu, &memory, &program).await?;
        for (first, second) in first.iter().zip(&second) {
            let mut bits = first.bits.iter().zip(&second.bits);
            if let Some(index) = bits.position(|(first, second)| first != second) {
                let (output, first, second) = (first.name.to_string(), first.bits[index], second.bits[index]);
                return Err(Finding::Unsteady { output, index, first, second });
            }
        }
        Ok(first)
    }

    async fn replay(&self, gpu: &Gpu, memory: &Memory, program: &Program) -> Result<Vec<Output>, Finding> {
        let whole = |region: Region| Region { len: with_guard(region.len), ..region };
        for (id, values) in &self.given {
            let region = self.plan.get(*id).region;
            let mut bits = values.bits();
            // The elements that round a tensor up to a whole vec4 belong to nothing, so they may be written.
            bits.resize(region.len.next_multiple_of(4), 0);
            bits.resize(with_guard(region.len), GUARD_BITS);
            memory.write(gpu, whole(region), bytemuck::cast_slice(&bits));
        }
        program.submit(gpu, memory, &[self.step])?;
        let mut outputs = Vec::new();
        for (id, values) in &self.given {
            let tensor = self.plan.get(*id);
            let bytes = memory.read(gpu, whole(tensor.region)).await?;
            let mut bits: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
            if bits[tensor.region.len.next_multiple_of(4)..].iter().any(|bits| *bits != GUARD_BITS) {
                return Err(Finding::Guard(tensor.name.clone()));
            }
            bits.truncate(tensor.region.len);
            match self.outputs.iter().find(|(_, output, _)| output == id) {
                Some((name, _, element)) => outputs.push(Output { name, element: *element, bits }),
                None if bits == values.bits() => {}
                None => return Err(Finding::Input(tensor.name.clone())),
            }
        }
        Ok(outputs)
    }

    /// Runs the pass on the CPU. There an input cannot change, and nothing outside an output can be written.
    pub fn on_cpu(&self, team: &Arc<Team>) -> Result<Vec<Output>> {
        let mut machine = fast::CpuBackend::new(team.clone(), &self.plan)?;
        for (id, values) in &self.given {
            let region = self.plan.get(*id).region;
            match values {
                Values::Real(values) => machine.real(region).copy_from_slice(values),
                Values::Int(values) => machine.int(region).copy_from_slice(values),
            }
        }
        machine.run(&self.plan, std::slice::from_ref(&self.pass), &[self.step])?;
        let mut read = |(name, id, element): &(&'static str, TensorId, Element)| {
            let region = self.plan.get(*id).region;
            let bits = match element {
                Element::Real => machine.real(region).iter().map(|v| v.to_bits()).collect(),
                Element::Int => machine.int(region).to_vec(),
            };
            Output { name, element: *element, bits }
        };
        Ok(self.outputs.iter().map(&mut read).collect())
    }
}

fn with_guard(len: usize) -> usize {
    len.next_multiple_of(4) + GUARD
}

/// Extends every buffer operand into the guard of its storage, so that a stray store lands there instead of being
/// clamped.
fn widen(recording: &mut Recording) {
    for command in &mut recording.commands {
        if let Command::Dispatch(dispatch) = command {
            for (_, operand) in dispatch.reads.iter_mut().chain(&mut dispatch.writes) {
                if let Operand::Buffer(region) = operand {
                    region.len = with_guard(region.len);
                }
            }
        }
    }
}
