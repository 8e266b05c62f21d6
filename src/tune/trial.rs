//! Tries kernel configurations for one pass by itself on the device.

use crate::clock::Instant;
use crate::error::Result;
use crate::fast::{self, Team};
use crate::gpu::{Gpu, Memory, Program, Recording};
use crate::network::Compiled;
use crate::ops::{self, KernelConfig, Step};
use crate::plan::{Element, Pass, Plan, Region, Storage, StorageId};
use crate::reference;
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

/// The result of trying a candidate.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The candidate is correct. Its time in seconds per pass includes texture copies.
    Right(f64),
    /// The candidate is wrong or cannot be run, with the reason.
    Wrong(String),
}

impl Verdict {
    /// Whether the candidate is correct.
    pub fn is_right(&self) -> bool {
        matches!(self, Verdict::Right(_))
    }
}

/// The elements of each output of a pass.
pub type Outputs = Vec<Vec<f32>>;

/// A pass, its inputs and its expected outputs.
///
/// The CPU engine computes the expected outputs, because it is fast: it takes some hundredths of a second where the
/// naive kernel takes as many seconds on a software driver. But it is not trusted blindly: if a kernel disagrees with
/// it, the reference decides which of the two is wrong.
pub struct Trial<'a> {
    gpu: &'a Gpu,
    pass: &'a Pass,
    plan: Plan,
    /// The outputs of the CPU engine; `None` once it is known to be wrong for this pass.
    cpu: Option<Outputs>,
    reference: OnceCell<Outputs>,
}

impl<'a> Trial<'a> {
    /// Computes the pass on small whole numbers with the CPU engine, so that a driver that is wrong in all kernels
    /// alike is detected too.
    pub fn new(gpu: &'a Gpu, team: &Arc<Team>, compiled: &Compiled, pass: &'a Pass) -> Result<Trial<'a>> {
        let plan = alone(&compiled.plan, pass);
        let mut machine = fast::CpuBackend::new(team.clone(), &plan)?;
        for (at, id) in pass.inputs.iter().enumerate() {
            let region = plan.get(*id).region;
            machine.real(region).copy_from_slice(&whole_numbers(region.len, at));
        }
        machine.run(&plan, std::slice::from_ref(pass), &[Step::default()])?;
        let cpu = pass.outputs.iter().map(|id| machine.real(plan.get(*id).region).to_vec()).collect();
        Ok(Trial { gpu, pass, plan, cpu: Some(cpu), reference: OnceCell::new() })
    }

    /// A trial with outputs of the reference, because the CPU engine is already known to be wrong for this pass.
    pub(super) fn by_reference(gpu: &'a Gpu, compiled: &Compiled, pass: &'a Pass, expected: Outputs) -> Trial<'a> {
        Trial { gpu, pass, plan: alone(&compiled.plan, pass), cpu: None, reference: OnceCell::from(expected) }
    }

    /// The outputs of the reference, if the reference showed that the CPU engine is wrong.
    pub(super) fn into_reference(self) -> Option<Outputs> {
        self.cpu_fault().is_some().then_some(self.reference.into_inner()).flatten()
    }

    /// Changes the outputs of the CPU engine, so that tests can provoke a fault of the CPU engine.
    pub fn tamper_with_cpu(&mut self, tamper: impl FnOnce(&mut Outputs)) {
        if let Some(cpu) = &mut self.cpu {
            tamper(cpu);
        }
    }

    /// Where the CPU engine is wrong in this pass, if both a candidate and the reference disagree with it.
    pub fn cpu_fault(&self) -> Option<String> {
        difference(self.reference.get()?, self.cpu.as_ref()?)
    }

    /// Compares a candidate with the expected outputs, and times it.
    pub async fn run(&self, config: &KernelConfig) -> Result<Verdict> {
        self.run_tampered(config, |_| ()).await
    }

    /// Like [`Trial::run`], but `tamper` changes the recording first, so that tests can provoke a difference.
    pub async fn run_tampered(&self, config: &KernelConfig, tamper: impl FnOnce(&mut Recording)) -> Result<Verdict> {
        let mut recording = match self.recording(config) {
            Ok(recording) => recording,
            Err(error) => return Ok(Verdict::Wrong(error.to_string())),
        };
        tamper(&mut recording);
        let stage = self.stage(&recording)?;
        let got = self.outputs(&stage).await?;
        let agrees_with_cpu = self.cpu.as_ref().is_some_and(|cpu| difference(cpu, &got).is_none());
        if !agrees_with_cpu && let Some(difference) = difference(self.reference(), &got) {
            return Ok(Verdict::Wrong(difference));
        }
        Ok(Verdict::Right(self.time(&stage).await?))
    }

    /// The outputs of the reference: plain loops, which take seconds for a large pass.
    fn reference(&self) -> &Outputs {
        self.reference.get_or_init(|| {
            let mut machine = reference::ReferenceBackend::<f32>::new(&self.plan);
            for (at, id) in self.pass.inputs.iter().enumerate() {
                let region = self.plan.get(*id).region;
                machine.real(region).copy_from_slice(&whole_numbers(region.len, at));
            }
            machine.run(&self.plan, self.pass, Step::default());
            self.pass.outputs.iter().map(|id| machine.real(self.plan.get(*id).region).to_vec()).collect()
        })
    }

    fn recording(&self, config: &KernelConfig) -> Result<Recording> {
        let mut recording = Recording::new();
        ops::record(&self.plan, self.pass, config, &mut recording)?;
        Ok(recording)
    }

    /// Memory that holds the inputs. Outputs are filled with a value that no kernel computes.
    fn stage(&self, recording: &Recording) -> Result<(Memory, Program)> {
        let storages: Vec<_> = self.plan.storages.iter().map(|s| (s.name.clone(), s.len)).collect();
        let memory = Memory::new(self.gpu, &storages, &[recording], size_of::<Step>())?;
        for (at, id) in self.pass.inputs.iter().chain(&self.pass.outputs).enumerate() {
            let region = self.plan.get(*id).region;
            let values =
                if at < self.pass.inputs.len() { whole_numbers(region.len, at) } else { vec![0.5; region.len] };
            memory.write(self.gpu, region, bytemuck::cast_slice(&values));
        }
        let program = Program::new(self.gpu, &memory, recording)?;
        Ok((memory, program))
    }

    async fn outputs(&self, (memory, program): &(Memory, Program)) -> Result<Vec<Vec<f32>>> {
        program.submit(self.gpu, memory, &[Step::default()])?;
        let mut outputs = Vec::new();
        for id in &self.pass.outputs {
            let bytes = memory.read(self.gpu, self.plan.get(*id).region).await?;
            outputs.push(bytemuck::pod_collect_to_vec(&bytes));
        }
        Ok(outputs)
    }

    /// The shortest of a few runs: other load on the machine can only add to the time.
    async fn time(&self, (memory, program): &(Memory, Program)) -> Result<f64> {
        const RUN: Duration = Duration::from_millis(20);
        let mut best = f64::INFINITY;
        let mut count = 1;
        for _ in 0..4 {
            let start = Instant::now();
            program.submit(self.gpu, memory, &vec![Step::default(); count])?;
            self.gpu.finish("tuning").await?;
            let seconds = start.elapsed().as_secs_f64() / count as f64;
            best = best.min(seconds);
            count = ((RUN.as_secs_f64() / best) as usize).clamp(1, 64);
        }
        Ok(best)
    }
}

/// The plan with only the tensors of one pass, each in its own storage. All ids stay the same.
pub(super) fn alone(plan: &Plan, pass: &Pass) -> Plan {
    let mut alone = plan.clone();
    alone.storages.clear();
    for id in pass.inputs.iter().chain(&pass.outputs) {
        let tensor = &mut alone.tensors[id.0];
        let len = tensor.region.len;
        let storage = StorageId(alone.storages.len());
        alone.storages.push(Storage { name: tensor.name.clone(), len, element: Element::Real, in_turns: false });
        tensor.region = Region { storage, offset: 0, len };
    }
    alone
}

/// Whole numbers from -2 to 2: sums of up to two million of their products are exact in f32, in any order.
fn whole_numbers(len: usize, seed: usize) -> Vec<f32> {
    let mut state = seed as u32 ^ 0x9e37_79b9;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 16) % 5) as f32 - 2.0
    };
    (0..len).map(|_| next()).collect()
}

/// The first difference between two results. Products and sums of whole numbers are exact; activations other than ReLU
/// are not, so their results may differ in the last places.
fn difference(expected: &[Vec<f32>], got: &[Vec<f32>]) -> Option<String> {
    for (expected, got) in expected.iter().zip(got) {
        let is_exact = expected.iter().all(|want| want.fract() == 0.0);
        for (index, (want, have)) in expected.iter().zip(got).enumerate() {
            let allowed = if is_exact { 0.0 } else { 1e-5 * want.abs().max(1.0) };
            // NaN is never within the bound.
            let within = (want - have).abs() <= allowed;
            if !within {
                return Some(format!("element {index} is {have}, but the reference gives {want}"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_found() {
        let whole = || vec![1.0, 2.0];
        assert_eq!(difference(&[whole()], &[whole()]), None);
        for wrong in [[2.0, 2.0], [1.000_001, 2.0], [f32::NAN, 2.0], [1.0, f32::NAN]] {
            assert!(difference(&[whole()], &[wrong.to_vec()]).is_some(), "{wrong:?}");
        }
        // An activation that saturates where it is 1.
        assert_eq!(difference(&[vec![1.0, 0.3]], &[vec![0.999_999_9, 0.300_001]]), None);
        for wrong in [[2.0, 0.3], [1.0, 0.31], [f32::NAN, 0.3], [1.0, f32::NAN], [1.001, 0.3]] {
            assert!(difference(&[vec![1.0, 0.3]], &[wrong.to_vec()]).is_some(), "{wrong:?}");
        }
    }

    #[test]
    fn inputs_are_small_and_whole() {
        let values = whole_numbers(1000, 3);
        assert!(values.iter().all(|v| v.fract() == 0.0 && v.abs() <= 2.0));
        assert!([-2.0, -1.0, 0.0, 1.0, 2.0].iter().all(|v| values.contains(v)));
    }
}
