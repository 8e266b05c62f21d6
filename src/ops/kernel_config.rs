//! Kernel configurations: the form of the kernels, the tile, where operands are read from, and how far sums are split.

use crate::error::expect;
use crate::gpu::{Gpu, MAX_GROUPS};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The form of a pass's kernels, where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KernelForm {
    /// Each invocation computes one output, directly from the formula.
    Naive,
    /// Each invocation computes a tile of outputs in registers.
    Register,
    /// Like [`KernelForm::Register`], but the invocations of a subgroup share the loads of the right operand. For
    /// software drivers. Needs a tile from [`Tile::subgroup`].
    Subgroup,
    /// Like [`KernelForm::Subgroup`] with small tiles, for convolutions with a stride of 1: values that windows at
    /// adjacent positions share are loaded only once. All other products use [`KernelForm::Subgroup`]. Needs a tile
    /// from [`Tile::sliding`].
    Sliding,
    /// A workgroup loads blocks of both operands into workgroup memory and multiplies them there. For GPUs.
    Staged,
}

/// Where matrix products read their operands from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperandSource {
    /// Operands are read directly from the storages.
    Buffer,
    /// Operands are read from texture mirrors of the storages: 2.5 times as fast on lavapipe, copies included.
    Texture,
}

/// The tile of the matrix engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tile {
    /// Number of rows per invocation, a multiple of 4.
    pub rows: usize,
    /// Number of columns per invocation, in vec4.
    pub columns4: usize,
    /// Number of invocations of a workgroup along the columns.
    pub across: usize,
    /// Number of invocations of a workgroup along the rows.
    pub down: usize,
}

impl Tile {
    /// A tile for [`KernelForm::Subgroup`]: one subgroup of `lanes` invocations (8 or 16), each with `rows` rows of
    /// `columns32 * 32` columns.
    pub const fn subgroup(lanes: usize, rows: usize, columns32: usize) -> Tile {
        Tile { rows, columns4: 8 * columns32, across: 1, down: lanes }
    }

    /// A tile for [`KernelForm::Sliding`]: one subgroup of `lanes` invocations (8 or 16), each with at most `rows`
    /// adjacent positions of the window by `columns4` (1, 2, 4 or 8) vec4 of columns.
    pub const fn sliding(lanes: usize, rows: usize, columns4: usize) -> Tile {
        Tile { rows, columns4, across: 1, down: lanes }
    }

    /// A tile with the same number of invocations, but fewer of them across if the product has too few columns for all.
    pub(super) fn fitted(self, columns4: usize) -> Tile {
        let mut tile = self;
        while tile.across.is_multiple_of(2) && tile.across / 2 * tile.columns4 >= columns4 {
            tile.across /= 2;
            tile.down *= 2;
        }
        tile
    }

    /// The tile for a product of the staged form with `columns4` vec4 of columns: fewer invocations across if there are
    /// too few columns for all. It gets taller only to keep 64 invocations: a GPU runs 32 or 64 of them as one, and
    /// taller tiles are fewer tiles.
    pub(super) fn staged(self, columns4: usize) -> Tile {
        const LEAST_INVOCATIONS: usize = 64;
        const MOST_ROWS: usize = 256;
        let mut tile = self;
        while tile.across.is_multiple_of(2) && tile.across / 2 * tile.columns4 >= columns4 {
            tile.across /= 2;
            if tile.across * tile.down < LEAST_INVOCATIONS && 2 * tile.down * tile.rows <= MOST_ROWS {
                tile.down *= 2;
            }
        }
        tile
    }
}

/// The kernel configuration of a pass, which the tuner ([`crate::tune`]) chooses per pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelConfig {
    /// The form of the kernels.
    pub form: KernelForm,
    /// Where matrix products read their operands from.
    pub operands: OperandSource,
    /// Whether memory-bound passes load and store 64-bit words, with two floats in each. The device must support 64-bit
    /// integers ([`Gpu::has_64_bit`]); on lavapipe this saves a quarter to a third of the time.
    #[serde(default)]
    pub wide: bool,
    /// Tile of matrix products.
    pub tile: Tile,
    /// Number of workgroups that keep the device busy: a product with fewer tiles is split along its sum.
    pub busy_groups: usize,
    /// Bytes of workgroup memory that a tile of the staged form may use: with more, it holds more terms at a time.
    #[serde(default = "least_memory", skip_serializing_if = "is_least_memory")]
    pub memory: usize,
    /// Largest number of workgroups in x; larger grids are folded into two dimensions. Smaller values are used in tests
    /// only.
    #[serde(skip, default = "most_groups")]
    pub max_groups: u32,
}

fn most_groups() -> u32 {
    MAX_GROUPS
}

/// Bytes of workgroup memory of every WebGPU device.
pub(crate) const LEAST_MEMORY: usize = 16 << 10;

fn least_memory() -> usize {
    LEAST_MEMORY
}

fn is_least_memory(memory: &usize) -> bool {
    *memory == LEAST_MEMORY
}

impl KernelConfig {
    /// The default for a device.
    pub fn of(gpu: &Gpu) -> Self {
        let config = match gpu.lanes() {
            // A profile stands for a GPU, also where a software driver runs it.
            _ if !gpu.is_software() || gpu.profile.is_some() => return KernelConfig::hardware(),
            Some(lanes @ (8 | 16)) => KernelConfig::sliding(lanes),
            _ => KernelConfig::software(),
        };
        // With 16 lanes, lavapipe takes four times as long for 64-bit words as for 32-bit words.
        KernelConfig { wide: gpu.has_64_bit() && gpu.lanes() != Some(16), ..config }
    }

    /// The default for software drivers without fixed subgroups (measured on lavapipe).
    pub fn software() -> Self {
        KernelConfig {
            form: KernelForm::Register,
            operands: OperandSource::Texture,
            wide: false,
            tile: Tile { rows: 12, columns4: 4, across: 8, down: 1 },
            busy_groups: 64,
            memory: LEAST_MEMORY,
            max_groups: MAX_GROUPS,
        }
    }

    /// The subgroup form, for software drivers whose subgroups have 8 or 16 lanes.
    pub fn subgroup(lanes: usize) -> Self {
        KernelConfig { form: KernelForm::Subgroup, tile: Tile::subgroup(lanes, 8, 1), ..KernelConfig::software() }
    }

    /// The default for software drivers whose subgroups have 8 or 16 lanes: convolutions in small tiles.
    pub fn sliding(lanes: usize) -> Self {
        KernelConfig { form: KernelForm::Sliding, tile: Tile::sliding(lanes, 8, lanes / 4), ..KernelConfig::software() }
    }

    /// The default for GPUs.
    pub fn hardware() -> Self {
        KernelConfig {
            form: KernelForm::Staged,
            operands: OperandSource::Buffer,
            wide: false,
            tile: Tile { rows: 8, columns4: 2, across: 8, down: 16 },
            busy_groups: 512,
            memory: LEAST_MEMORY,
            max_groups: MAX_GROUPS,
        }
    }
}

impl KernelConfig {
    /// Checks that kernels exist for this configuration.
    ///
    /// # Errors
    ///
    /// A message that gives the expected and the actual value.
    pub fn validate(&self) -> Result<(), String> {
        let Tile { rows, columns4, across, down } = self.tile;
        expect(rows.is_multiple_of(4) && (4..=64).contains(&rows), "rows must be 4, 8, 12, … 64", &rows)?;
        expect((1..=16).contains(&columns4), "columns4 must be from 1 to 16", &columns4)?;
        let invocations = across.saturating_mul(down);
        expect((1..=256).contains(&invocations), "across * down must be from 1 to 256", &invocations)?;
        let groups = self.busy_groups;
        expect((1..=65_536).contains(&groups), "busy_groups must be from 1 to 65536", &groups)?;
        let memory = self.memory;
        expect((LEAST_MEMORY..=1 << 20).contains(&memory), "memory must be from 16384 to 1048576", &memory)?;
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

    /// Checks that the kernels compute correct results on a device: those for another subgroup size would not.
    pub(crate) fn check_fit(&self, gpu: &Gpu) -> Result<(), String> {
        self.validate()?;
        if self.wide && !gpu.has_64_bit() {
            return Err(format!("it needs 64-bit integers, which {} does not support", gpu.info.name));
        }
        let memory = gpu.limits.max_compute_workgroup_storage_size as usize;
        if self.memory > memory {
            let wanted = self.memory;
            let name = &gpu.info.name;
            return Err(format!("it needs {wanted} bytes of workgroup memory, but {name} has {memory}"));
        }
        let (wanted, lanes) = (self.tile.down, gpu.lanes());
        if matches!(self.form, KernelForm::Subgroup | KernelForm::Sliding) && lanes != Some(wanted) {
            let has = lanes.map_or("no subgroups of a fixed size".to_string(), |lanes| format!("{lanes}"));
            return Err(format!("it needs subgroups of {wanted} lanes, but {} has {has}", gpu.info.name));
        }
        Ok(())
    }
}

/// Where the kernel configuration of a pass comes from.
pub trait ChooseKernel {
    /// The configuration of the pass with this label.
    fn config(&self, label: &str) -> &KernelConfig;
}

impl ChooseKernel for KernelConfig {
    /// The same configuration for all passes.
    fn config(&self, _label: &str) -> &KernelConfig {
        self
    }
}

impl fmt::Display for KernelConfig {
    /// `subgroup 64x32 (8x32 each), texture, 64 groups`: form, tiles of a workgroup and of an invocation as rows by
    /// columns, source of the operands, [`KernelConfig::busy_groups`] and, if it is more than every device has,
    /// [`KernelConfig::memory`]: `32 KiB`.
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
        write!(f, ", {} groups", self.busy_groups)?;
        if self.memory == LEAST_MEMORY { Ok(()) } else { write!(f, ", {} KiB", self.memory >> 10) }
    }
}
