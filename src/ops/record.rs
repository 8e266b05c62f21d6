//! The bridge from a pass to its dispatches: tensors become regions, choices become constants.

use crate::error::{Error, Result};
use crate::gpu::{Cost, Dispatch, Gpu, KernelSpec, MAX_GROUPS, Operand, Recording, fold};
use crate::plan::{Pass, Plan, Region};
use crate::wgsl;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which kernels are taken where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KernelForm {
    /// One output an invocation, as the formula reads.
    Naive,
    /// A tile of outputs in the registers of each invocation.
    Register,
    /// The same, the right operand handed round in a subgroup: for drivers that compute on the CPU. Wants a
    /// [`Tile`] of [`Tile::subgroup`].
    Subgroup,
    /// The same in small tiles, and what neighbouring places of a convolution read is loaded once for all of them, where
    /// its stride is 1. Every other product is computed as with [`KernelForm::Subgroup`]. Wants a [`Tile`] of [`Tile::sliding`].
    Sliding,
    /// A workgroup brings parts of both operands into its memory and multiplies from there: for GPUs.
    Staged,
}

/// Where matrix passes read their operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperandSource {
    /// From the storages themselves.
    Buffer,
    /// From texture mirrors of them: 2.5 times as fast on lavapipe, copies included.
    Texture,
}

/// The tile of the matrix engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Of [`KernelForm::Subgroup`]: one subgroup of `lanes` (8 or 16), each with `rows` rows of `columns32 * 32` columns.
    pub const fn subgroup(lanes: usize, rows: usize, columns32: usize) -> Tile {
        Tile { rows, columns4: 8 * columns32, across: 1, down: lanes }
    }

    /// Of [`KernelForm::Sliding`]: one subgroup of `lanes` (8 or 16), each with at most `rows` neighbouring places of `columns4`
    /// (1, 2, 4 or 8) vec4 of columns.
    pub const fn sliding(lanes: usize, rows: usize, columns4: usize) -> Tile {
        Tile { rows, columns4, across: 1, down: lanes }
    }

    /// The same number of invocations, fewer of them across where the product has too few columns for all; a workgroup
    /// keeps at most `rows` rows.
    pub(super) fn fitted(self, columns4: usize, rows: usize) -> Tile {
        let mut tile = self;
        let narrower = |tile: &Tile| tile.across.is_multiple_of(2) && tile.across / 2 * tile.columns4 >= columns4;
        while narrower(&tile) && 2 * tile.down * tile.rows <= rows {
            tile.across /= 2;
            tile.down *= 2;
        }
        tile
    }
}

/// How a pass is recorded: what the tuner ([`crate::tune`]) chooses for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelConfig {
    /// Kernels.
    pub form: KernelForm,
    /// Operands of matrix passes.
    pub operands: OperandSource,
    /// Whether passes that are bound by memory load and store 64-bit words, two floats in each. The device must have
    /// them ([`Gpu::has_64_bit`]); on lavapipe they save a quarter to a third of the time.
    #[serde(default)]
    pub wide: bool,
    /// Tile of matrix passes.
    pub tile: Tile,
    /// Workgroups that keep the device busy: a product with fewer tiles is split along its sum.
    pub busy_groups: usize,
    /// Workgroups in x before a grid folds; smaller only in tests.
    #[serde(skip, default = "most_groups")]
    pub max_groups: u32,
}

fn most_groups() -> u32 {
    MAX_GROUPS
}

impl KernelConfig {
    /// The best guess for a device.
    pub fn of(gpu: &Gpu) -> Self {
        let config = match gpu.lanes() {
            _ if !gpu.is_software() => return KernelConfig::hardware(),
            Some(lanes @ (8 | 16)) => KernelConfig::sliding(lanes),
            _ => KernelConfig::software(),
        };
        // With 16 lanes lavapipe takes four times as long for 64-bit words as for 32-bit ones.
        KernelConfig { wide: gpu.has_64_bit() && gpu.lanes() != Some(16), ..config }
    }

    /// For drivers that compute on the CPU (measured on lavapipe).
    pub fn software() -> Self {
        KernelConfig {
            form: KernelForm::Register,
            operands: OperandSource::Texture,
            wide: false,
            tile: Tile { rows: 12, columns4: 4, across: 8, down: 1 },
            busy_groups: 64,
            max_groups: MAX_GROUPS,
        }
    }

    /// For those of them whose subgroups have 8 or 16 lanes.
    pub fn subgroup(lanes: usize) -> Self {
        KernelConfig { form: KernelForm::Subgroup, tile: Tile::subgroup(lanes, 8, 1), ..KernelConfig::software() }
    }

    /// For the same drivers; convolutions in small tiles.
    pub fn sliding(lanes: usize) -> Self {
        KernelConfig { form: KernelForm::Sliding, tile: Tile::sliding(lanes, 8, lanes / 4), ..KernelConfig::software() }
    }

    /// For GPUs.
    pub fn hardware() -> Self {
        KernelConfig {
            form: KernelForm::Staged,
            operands: OperandSource::Buffer,
            wide: false,
            tile: Tile { rows: 8, columns4: 2, across: 8, down: 16 },
            busy_groups: 512,
            max_groups: MAX_GROUPS,
        }
    }
}

impl KernelConfig {
    /// Whether the kernels can be made at all.
    pub fn validate(&self) -> Result<(), String> {
        let Tile { rows, columns4, across, down } = self.tile;
        let expect = |fine: bool, what: &str| if fine { Ok(()) } else { Err(what.to_string()) };
        expect(rows.is_multiple_of(4) && (4..=64).contains(&rows), "rows must be 4, 8, 12, … 64")?;
        expect((1..=16).contains(&columns4), "columns4 must be from 1 to 16")?;
        let invocations = across.saturating_mul(down);
        expect((1..=256).contains(&invocations), "across * down must be from 1 to 256")?;
        expect((1..=65_536).contains(&self.busy_groups), "busy_groups must be from 1 to 65536")?;
        match self.form {
            KernelForm::Subgroup => {
                expect(across == 1 && [8, 16].contains(&down), "a subgroup tile is 1 across and 8 or 16 down")?;
                expect(columns4.is_multiple_of(8), "columns4 of a subgroup tile must be 8 or 16")
            }
            KernelForm::Sliding => {
                expect(across == 1 && [8, 16].contains(&down), "a sliding tile is 1 across and 8 or 16 down")?;
                expect([1, 2, 4, 8].contains(&columns4), "columns4 of a sliding tile must be 1, 2, 4 or 8")
            }
            KernelForm::Staged => expect(rows * down <= 512 && columns4 * across <= 64, "the staged tile is too large"),
            KernelForm::Naive | KernelForm::Register => Ok(()),
        }
    }

    /// Whether they compute the right thing on a device: a kernel for other subgroups would not.
    pub fn check_fit(&self, gpu: &Gpu) -> Result<(), String> {
        self.validate()?;
        if self.wide && !gpu.has_64_bit() {
            return Err(format!("made for 64-bit integers, and {} has none", gpu.info.name));
        }
        let (wanted, lanes) = (self.tile.down, gpu.lanes());
        if matches!(self.form, KernelForm::Subgroup | KernelForm::Sliding) && lanes != Some(wanted) {
            let has = lanes.map_or("none of a fixed size".to_string(), |lanes| format!("{lanes}"));
            return Err(format!("made for subgroups of {wanted} lanes, and {} has {has}", gpu.info.name));
        }
        Ok(())
    }
}

/// Where the settings of a pass come from.
pub trait ChooseKernel {
    /// Those of the pass of this label.
    fn config(&self, label: &str) -> &KernelConfig;
}

impl ChooseKernel for KernelConfig {
    /// One for all.
    fn config(&self, _label: &str) -> &KernelConfig {
        self
    }
}

impl fmt::Display for KernelConfig {
    /// `subgroup 64x32 (8x32 each), texture`: the tile of a workgroup and of an invocation, rows by columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tile { rows, columns4, across, down } = self.tile;
        let form = match self.form {
            KernelForm::Naive => return write!(f, "naive"),
            KernelForm::Register => "register",
            KernelForm::Subgroup => "subgroup",
            KernelForm::Sliding => "sliding",
            KernelForm::Staged => "staged",
        };
        let operands = match self.operands {
            OperandSource::Buffer => "buffer",
            OperandSource::Texture => "texture",
        };
        write!(f, "{form} {}x{} ({rows}x{} each), {operands}", rows * down, 4 * columns4 * across, 4 * columns4)?;
        write!(f, ", {} groups", self.busy_groups)
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
    pub config: &'a KernelConfig,
    recording: &'a mut Recording,
    label: &'a str,
    tensors: Vec<(&'static str, Region)>,
    /// Of the pass; its first dispatch, the main one, takes them all.
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
        record(&mut Recorder {
            config: self.config,
            recording: self.recording,
            label: &label,
            tensors: self.tensors.clone(),
            flops: std::mem::take(&mut self.flops),
            touched: self.touched.clone(),
        })
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
        let cost = self.cost(&reads, &writes);
        self.recording.dispatch(Dispatch { label, kernel, reads, writes, groups: [1, 1], cost });
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
        let groups = fold(groups, self.config.max_groups);
        let label = if part.is_empty() { self.label.to_string() } else { format!("{}.{part}", self.label) };
        let kernel = kernel.set("GROUPS_X", groups[0]);
        let cost = self.cost(&reads, &writes);
        self.recording.dispatch(Dispatch { label, kernel, reads, writes, groups, cost });
    }

    fn cost(&mut self, reads: &[(&'static str, Operand)], writes: &[(&'static str, Operand)]) -> Cost {
        let elements = |operand: &Operand| match operand {
            Operand::Scratch(len) => *len,
            Operand::Buffer(region) | Operand::Mirror(region) => {
                let named = self.tensors.iter().find(|(_, known)| known == region).map(|(name, _)| name);
                let touched = self.touched.iter().find(|(name, _)| Some(name) == named);
                touched.map_or(region.len, |(_, elements)| *elements)
            }
        };
        let elements: usize = reads.iter().chain(writes).map(|(_, operand)| elements(operand)).sum();
        Cost { flops: std::mem::take(&mut self.flops), bytes: 4 * elements as u64 }
    }
}
