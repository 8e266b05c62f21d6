//! The bridge from a pass to its dispatches: the names of its tensors become regions, and a dispatch gets its label and its
//! cost. What is launched is said as a [`KernelLaunch`].

use super::KernelConfig;
use super::launch::KernelLaunch;
use crate::error::Result;
use crate::gpu::{Dispatch, Operand, Recording, ShaderFile, Work};
use crate::plan::{Pass, Plan, Region};

/// Records the dispatches of one pass.
pub struct Recorder<'a> {
    /// Which kernels are taken where there is a choice.
    pub config: &'a KernelConfig,
    recording: &'a mut Recording,
    label: &'a str,
    tensors: Vec<(&'static str, Region)>,
    /// Multiplications and additions of the pass; its first dispatch, the main one, takes them all.
    flops: u64,
    touched: Vec<(&'static str, usize)>,
}

/// Appends the dispatches of a pass.
pub fn record(plan: &Plan, pass: &Pass, config: &KernelConfig, recording: &mut Recording) -> Result<()> {
    let regions = |ids: &[crate::plan::TensorId]| ids.iter().map(|id| plan.get(*id).region).collect::<Vec<_>>();
    let names = pass.op.inputs().into_iter().chain(pass.op.outputs()).map(|(name, _)| name);
    let tensors = names.zip(regions(&pass.inputs).into_iter().chain(regions(&pass.outputs))).collect();
    let (flops, touched) = (pass.op.flops(), pass.op.touched());
    pass.op.record(&mut Recorder { config, recording, label: &pass.label, tensors, flops, touched })
}

impl<'a> Recorder<'a> {
    /// Begins the launch of the kernel whose main file is `pass`.
    pub(crate) fn kernel(&mut self, pass: &'static ShaderFile) -> KernelLaunch<'_, 'a> {
        KernelLaunch::new(self, pass)
    }

    /// The region of the input or output of this name.
    pub(super) fn region(&self, name: &str) -> Region {
        match self.tensors.iter().find(|(known, _)| *known == name) {
            Some((_, region)) => *region,
            None => unreachable!("{}: no tensor {name}", self.label),
        }
    }

    /// Records a part of the pass that takes dispatches of its own, each labelled `<pass>.<part>`.
    pub(crate) fn part<T>(&mut self, part: &str, record: impl FnOnce(&mut Recorder<'_>) -> T) -> T {
        let label = self.label_of(part);
        record(&mut Recorder {
            config: self.config,
            recording: self.recording,
            label: &label,
            tensors: self.tensors.clone(),
            flops: std::mem::take(&mut self.flops),
            touched: self.touched.clone(),
        })
    }

    /// Appends a dispatch.
    pub(super) fn dispatch(&mut self, dispatch: Dispatch) {
        self.recording.dispatch(dispatch);
    }

    /// `<pass>.<part>`, or `<pass>` where the part has no name.
    pub(super) fn label_of(&self, part: &str) -> String {
        if part.is_empty() { self.label.to_string() } else { format!("{}.{part}", self.label) }
    }

    /// The work of the next dispatch, if it has these operands.
    pub(super) fn cost<'o>(&mut self, operands: impl Iterator<Item = &'o (&'static str, Operand)>) -> Work {
        let elements = |operand: &Operand| match operand {
            Operand::Scratch(len) => *len,
            Operand::Buffer(region) | Operand::Mirror(region) => {
                let named = self.tensors.iter().find(|(_, known)| known == region).map(|(name, _)| name);
                let touched = self.touched.iter().find(|(name, _)| Some(name) == named);
                touched.map_or(region.len, |(_, elements)| *elements)
            }
        };
        let elements: usize = operands.map(|(_, operand)| elements(operand)).sum();
        Work { flops: std::mem::take(&mut self.flops), bytes: 4 * elements as u64 }
    }
}
