//! The bridge from a pass to its dispatches: tensors become regions, choices become constants.

use crate::error::{Error, Result};
use crate::gpu::{Dispatch, Gpu, KernelSpec, MAX_GROUPS, Operand, Recording, fold};
use crate::plan::{Pass, Plan, Region};
use crate::wgsl;

/// Which kernels are taken where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One output an invocation, as the formula reads.
    Naive,
    /// A tile of outputs in the registers of each invocation; the place of the staged form is beside it.
    Register,
}

/// Where matrix passes read their operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperandSource {
    /// From the storages themselves.
    Buffer,
    /// From texture mirrors of them: 2.5 times as fast on lavapipe, copies included.
    Texture,
}

/// The register tile of the matrix engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Rows an invocation, a multiple of 4.
    pub rows: usize,
    /// Columns an invocation, in vec4.
    pub columns4: usize,
    /// Invocations of a workgroup along the columns.
    pub across: usize,
    /// And along the rows.
    pub down: usize,
}

impl Tile {
    /// The same number of invocations, fewer of them across where the product has too few columns for all.
    pub(super) fn fitted(self, columns4: usize) -> Tile {
        let mut tile = self;
        while tile.across.is_multiple_of(2) && tile.across / 2 * tile.columns4 >= columns4 {
            tile.across /= 2;
            tile.down *= 2;
        }
        tile
    }
}

/// How passes are recorded: what the tuner will choose one day, and fixed by the kind of device until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Kernels.
    pub form: Form,
    /// Operands of matrix passes.
    pub operands: OperandSource,
    /// Whether passes that are bound by memory load and store 64-bit words, two floats in each. The device must have
    /// them ([`Gpu::has_64_bit`]); on lavapipe they save a quarter to a third of the time.
    pub wide: bool,
    /// Tile of matrix passes.
    pub tile: Tile,
    /// Workgroups that keep the device busy: a product with fewer tiles is split along its sum.
    pub busy_groups: usize,
    /// Workgroups in x before a grid folds; smaller only in tests.
    pub max_groups: u32,
}

impl Settings {
    /// For an open device.
    pub fn of(gpu: &Gpu) -> Self {
        if gpu.is_software() {
            Settings { wide: gpu.has_64_bit(), ..Settings::software() }
        } else {
            Settings::hardware()
        }
    }

    /// For drivers that compute on the CPU (measured on lavapipe).
    pub fn software() -> Self {
        Settings {
            form: Form::Register,
            operands: OperandSource::Texture,
            wide: false,
            tile: Tile { rows: 8, columns4: 2, across: 8, down: 1 },
            busy_groups: 64,
            max_groups: MAX_GROUPS,
        }
    }

    /// For GPUs.
    pub fn hardware() -> Self {
        Settings {
            form: Form::Register,
            operands: OperandSource::Buffer,
            wide: false,
            tile: Tile { rows: 4, columns4: 1, across: 8, down: 8 },
            busy_groups: 512,
            max_groups: MAX_GROUPS,
        }
    }
}

/// What llvmpipe gives all loops of an invocation together; then it leaves them, and says nothing. Nested loops count
/// each turn of each, and loops of constant trips that it has not unrolled count too.
const MOST_TURNS: usize = 65_535;

/// Refuses a kernel that would need more turns than a driver gives; `what` is too large. Nothing that a network for
/// images wants comes near, so it is refused on every device.
pub(super) fn check_turns(turns: usize, what: &str) -> Result<()> {
    if turns <= MOST_TURNS {
        return Ok(());
    }
    Err(Error::Network(format!(
        "{what} would take {turns} turns of a loop on the device, and drivers may end it after {MOST_TURNS}"
    )))
}

/// Records the dispatches of one pass.
pub struct Recorder<'a> {
    /// The choices in force.
    pub settings: &'a Settings,
    recording: &'a mut Recording,
    label: &'a str,
    tensors: Vec<(&'static str, Region)>,
}

/// Appends the dispatches of a pass.
pub fn record(plan: &Plan, pass: &Pass, settings: &Settings, recording: &mut Recording) -> Result<()> {
    let regions = |ids: &[crate::plan::TensorId]| ids.iter().map(|id| plan.get(*id).region).collect::<Vec<_>>();
    let names = pass.op.inputs().into_iter().chain(pass.op.outputs()).map(|(name, _)| name);
    let tensors = names.zip(regions(&pass.inputs).into_iter().chain(regions(&pass.outputs))).collect();
    pass.op.record(&mut Recorder { settings, recording, label: &pass.label, tensors })
}

impl Recorder<'_> {
    /// The region of the input or output of this name.
    pub fn region(&self, name: &str) -> Region {
        match self.tensors.iter().find(|(known, _)| *known == name) {
            Some((_, region)) => *region,
            None => unreachable!("{}: no tensor {name}", self.label),
        }
    }

    /// It as a buffer operand, with its name, as [`Recorder::dispatch`] wants it.
    pub fn buffer(&self, name: &'static str) -> (&'static str, Operand) {
        (name, Operand::Buffer(self.region(name)))
    }

    /// Records a part of the pass that takes dispatches of its own, each labelled `<pass>.<part>`.
    pub fn part<T>(&mut self, part: &str, record: impl FnOnce(&mut Recorder<'_>) -> T) -> T {
        let label = format!("{}.{part}", self.label);
        let tensors = self.tensors.clone();
        record(&mut Recorder { settings: self.settings, recording: self.recording, label: &label, tensors })
    }

    /// One invocation for each of `count` items. The kernel takes its number from `linear_index()` of
    /// `shared/linear.wgsl`, which is appended here with its constants set.
    pub fn for_each(
        &mut self,
        count: usize,
        kernel: KernelSpec,
        reads: Vec<(&'static str, Operand)>,
        writes: Vec<(&'static str, Operand)>,
    ) {
        self.for_each_part("", count, kernel, reads, writes);
    }

    /// [`Recorder::for_each`] as one of several dispatches of a pass: `part` is appended to the label.
    pub fn for_each_part(
        &mut self,
        part: &str,
        count: usize,
        kernel: KernelSpec,
        reads: Vec<(&'static str, Operand)>,
        writes: Vec<(&'static str, Operand)>,
    ) {
        const WORKGROUP: usize = 64;
        let groups = count.div_ceil(WORKGROUP);
        let kernel = kernel.with([wgsl!("shared/linear.wgsl")]).set("COUNT", count);
        self.dispatch(part, groups, kernel, reads, writes);
    }

    /// One workgroup; the kernel needs no `shared/linear.wgsl`.
    pub fn single_group(
        &mut self,
        kernel: KernelSpec,
        reads: Vec<(&'static str, Operand)>,
        writes: Vec<(&'static str, Operand)>,
    ) {
        let label = self.label.to_string();
        self.recording.dispatch(Dispatch { label, kernel, reads, writes, groups: [1, 1] });
    }

    /// `groups` workgroups, folded; `part` is appended to the label where a pass takes more than one dispatch. The
    /// kernel must hold `shared/linear.wgsl`.
    pub fn dispatch(
        &mut self,
        part: &str,
        groups: usize,
        kernel: KernelSpec,
        reads: Vec<(&'static str, Operand)>,
        writes: Vec<(&'static str, Operand)>,
    ) {
        let groups = fold(groups, self.settings.max_groups);
        let label = if part.is_empty() { self.label.to_string() } else { format!("{}.{part}", self.label) };
        let kernel = kernel.set("GROUPS_X", groups[0]);
        self.recording.dispatch(Dispatch { label, kernel, reads, writes, groups });
    }
}
