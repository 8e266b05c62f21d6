//! What a kernel choice is: the form of the kernels, the tile, where operands are read, and how far sums are split.

use crate::error::expect;
use crate::gpu::{Gpu, MAX_GROUPS};
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
    /// As [`KernelForm::Register`], the right operand handed round in a subgroup: for drivers that compute on the CPU.
    /// Wants a [`Tile`] of [`Tile::subgroup`].
    Subgroup,
    /// As [`KernelForm::Subgroup`], in small tiles, and what neighbouring places of a convolution read is loaded once for
    /// all of them, where its stride is 1. Every other product is computed as with [`KernelForm::Subgroup`]. Wants a
    /// [`Tile`] of [`Tile::sliding`].
    Sliding,
    /// A workgroup brings parts of both operands into its memory and multiplies from there: for GPUs.
    Staged,
}

/// Where matrix passes read their operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperandSource {
    /// Operands are read from the storages themselves.
    Buffer,
    /// Operands are read from texture mirrors of the storages: 2.5 times as fast on lavapipe, copies included.
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
    /// Invocations of a workgroup along the rows.
    pub down: usize,
}

impl Tile {
    /// The tile of [`KernelForm::Subgroup`]: one subgroup of `lanes` (8 or 16), each with `rows` rows of `columns32 * 32` columns.
    pub const fn subgroup(lanes: usize, rows: usize, columns32: usize) -> Tile {
        Tile { rows, columns4: 8 * columns32, across: 1, down: lanes }
    }

    /// The tile of [`KernelForm::Sliding`]: one subgroup of `lanes` (8 or 16), each with at most `rows` neighbouring places
    /// of `columns4` (1, 2, 4 or 8) vec4 of columns.
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
    /// Which kernels compute the pass.
    pub form: KernelForm,
    /// Where matrix passes read their operands.
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

    /// The best guess for drivers that compute on the CPU (measured on lavapipe).
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

    /// The subgroup form, for software drivers whose subgroups have 8 or 16 lanes.
    pub fn subgroup(lanes: usize) -> Self {
        KernelConfig { form: KernelForm::Subgroup, tile: Tile::subgroup(lanes, 8, 1), ..KernelConfig::software() }
    }

    /// The best guess for software drivers whose subgroups have 8 or 16 lanes: convolutions in small tiles.
    pub fn sliding(lanes: usize) -> Self {
        KernelConfig { form: KernelForm::Sliding, tile: Tile::sliding(lanes, 8, lanes / 4), ..KernelConfig::software() }
    }

    /// The best guess for GPUs.
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
    /// Whether the kernels can be made at all; the message of an error says expected and got.
    pub fn validate(&self) -> Result<(), String> {
        let Tile { rows, columns4, across, down } = self.tile;
        expect(rows.is_multiple_of(4) && (4..=64).contains(&rows), "rows must be 4, 8, 12, … 64", &rows)?;
        expect((1..=16).contains(&columns4), "columns4 must be from 1 to 16", &columns4)?;
        let invocations = across.saturating_mul(down);
        expect((1..=256).contains(&invocations), "across * down must be from 1 to 256", &invocations)?;
        let groups = self.busy_groups;
        expect((1..=65_536).contains(&groups), "busy_groups must be from 1 to 65536", &groups)?;
        let place = format!("{across} across and {down} down");
        let one_subgroup = across == 1 && [8, 16].contains(&down);
        match self.form {
            KernelForm::Subgroup => {
                expect(one_subgroup, "a subgroup tile must be 1 across and 8 or 16 down", &place)?;
                expect(columns4.is_multiple_of(8), "columns4 of a subgroup tile must be 8 or 16", &columns4)
            }
            KernelForm::Sliding => {
                expect(one_subgroup, "a sliding tile must be 1 across and 8 or 16 down", &place)?;
                let fits = [1, 2, 4, 8].contains(&columns4);
                expect(fits, "columns4 of a sliding tile must be 1, 2, 4 or 8", &columns4)
            }
            KernelForm::Staged => {
                let tile = format!("{}x{}", rows * down, 4 * columns4 * across);
                let fits = rows * down <= 512 && columns4 * across <= 64;
                expect(fits, "a workgroup's staged tile must be at most 512x256", &tile)
            }
            KernelForm::Naive | KernelForm::Register => Ok(()),
        }
    }

    /// Whether they compute the right thing on a device: a kernel for other subgroups would not.
    pub(crate) fn check_fit(&self, gpu: &Gpu) -> Result<(), String> {
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

/// Where the kernel configuration of a pass comes from.
pub trait ChooseKernel {
    /// The configuration of the pass of this label.
    fn config(&self, label: &str) -> &KernelConfig;
}

impl ChooseKernel for KernelConfig {
    /// The same for all passes.
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
