//! From a pass to its dispatches: resolves the names of tensors to regions, and gives dispatches their labels and
//! costs. Each dispatch is built by a [`KernelLaunch`].

use super::launch::KernelLaunch;
use super::{KernelConfig, KernelForm};
use crate::error::Result;
use crate::gpu::{Dispatch, Operand, Recording, ShaderFile, Work};
use crate::plan::{Pass, Plan, Region};

/// Records the dispatches of one pass.
pub struct Recorder<'a> {
    /// Kernel configuration of the pass.
    pub config: &'a KernelConfig,
    recording: &'a mut Recording,
    label: &'a str,
    tensors: Vec<(&'static str, Region)>,
    /// Multiplications and additions of the pass, which are all attributed to its first dispatch, the main one.
    flops: u64,
    touched: Vec<(&'static str, usize)>,
}

/// Appends the dispatches of a pass to a recording.
///
/// # Errors
///
/// [`crate::Error::Network`] when a size is too large for the loops of the kernels.
pub fn record(plan: &Plan, pass: &Pass, config: &KernelConfig, recording: &mut Recording) -> Result<()> {
    let regions = |ids: &[crate::plan::TensorId]| ids.iter().map(|id| plan.get(*id).region).collect::<Vec<_>>();
    let names = pass.op.inputs().into_iter().chain(pass.op.outputs()).map(|(name, _)| name);
    let tensors = names.zip(regions(&pass.inputs).into_iter().chain(regions(&pass.outputs))).collect();
    let (flops, touched) = (pass.op.flops(), pass.op.touched());
    pass.op.record(&mut Recorder { config, recording, label: &pass.label, tensors, flops, touched })
}

impl<'a> Recorder<'a> {
    /// Starts the launch of the kernel whose main file is `pass`.
    pub(crate) fn kernel(&mut self, pass: &'static ShaderFile) -> KernelLaunch<'_, 'a> {
        KernelLaunch::new(self, pass)
    }

    /// The region of the input or output with this name.
    pub(super) fn region(&self, name: &str) -> Region {
        match self.tensors.iter().find(|(known, _)| *known == name) {
            Some((_, region)) => *region,
            None => unreachable!("{}: no tensor {name}", self.label),
        }
    }

    /// Records a part of the pass that consists of several dispatches, whose labels start with `<pass>.<part>`.
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

    /// Records kernels that have the staged form only: with the default for GPUs if another form is configured.
    pub(super) fn staged<T>(&mut self, record: impl FnOnce(&mut Recorder<'_>) -> T) -> T {
        let default = KernelConfig { max_groups: self.config.max_groups, ..KernelConfig::hardware() };
        let config = if self.config.form == KernelForm::Staged { self.config } else { &default };
        record(&mut Recorder {
            config,
            recording: self.recording,
            label: self.label,
            tensors: self.tensors.clone(),
            flops: std::mem::take(&mut self.flops),
            touched: self.touched.clone(),
        })
    }

    /// Appends a dispatch.
    pub(super) fn dispatch(&mut self, dispatch: Dispatch) {
        self.recording.dispatch(dispatch);
    }

    /// The label of a part of the pass: `<pass>.<part>`, or `<pass>` if the name of the part is empty.
    pub(super) fn label_of(&self, part: &str) -> String {
        if part.is_empty() { self.label.to_string() } else { format!("{}.{part}", self.label) }
    }

    /// The work of the next dispatch, which has these operands.
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
