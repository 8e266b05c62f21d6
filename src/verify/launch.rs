//! The variants of a device, and what a pass becomes in each.

use super::Extent;
use crate::data::hex;
use crate::gpu::{Gpu, KernelSpec, MAX_GROUPS, Recording};
use crate::ops::{KernelConfig, KernelForm, OperandSource, Tile};
use crate::tune::candidates;
use sha2::{Digest, Sha256};
use std::fmt;

/// The kernel that a pass takes in a variant: what the tables, the list of what is known to be wrong and the tuner call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// `conv2d/forward`: the shader of the first dispatch, which does the work.
    pub kernel: String,
    /// Which of its variants: form, tile and operands of the matrix engine, what others load through.
    pub variant: String,
    /// Hash of the texts of the shaders: an entry about one text says nothing of another.
    pub sources: String,
}

impl Launch {
    /// The launch of a pass, from its recording.
    pub fn of(recording: &Recording) -> Launch {
        let kernels: Vec<&KernelSpec> = recording.dispatches().map(|dispatch| &dispatch.kernel).collect();
        let mut hash = Sha256::new();
        for source in kernels.iter().flat_map(|kernel| &kernel.sources) {
            hash.update(source.text);
        }
        let kernel = kernels.first().map_or("nothing", |kernel| kernel.name()).to_string();
        Launch { kernel, variant: recording.variant(), sources: hex(&hash.finalize()[..8]) }
    }
}

impl fmt::Display for Launch {
    /// `conv2d/forward, subgroup 64x32 (8x32 each), texture, 64 groups`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variant.as_str() {
            "" => f.write_str(&self.kernel),
            variant => write!(f, "{}, {variant}", self.kernel),
        }
    }
}

/// The naive kernels, whatever the tuner may choose, and unless it is to be quick every form with small tiles. The first are
/// the same for any extent.
pub fn variants(gpu: &Gpu, extent: Extent) -> Vec<KernelConfig> {
    let naive = KernelConfig { form: KernelForm::Naive, ..plain() };
    let others = if extent != Extent::Quick { every_form(gpu) } else { Vec::new() };
    let mut variants: Vec<KernelConfig> = Vec::new();
    for config in std::iter::once(naive).chain(candidates(gpu)).chain(others) {
        if !variants.contains(&config) {
            variants.push(config);
        }
    }
    variants
}

/// Forms, operand sources, tiles, folded grids, sums in many parts, 64-bit words where the device has them; all quickly
/// compiled.
pub fn every_form(gpu: &Gpu) -> Vec<KernelConfig> {
    let register = KernelConfig { tile: Tile { rows: 8, columns4: 2, across: 2, down: 4 }, busy_groups: 64, ..plain() };
    let mut variants = vec![
        KernelConfig { form: KernelForm::Naive, ..register },
        KernelConfig { wide: gpu.has_64_bit(), ..mirrored() },
        plain(),
        KernelConfig { busy_groups: 1000, max_groups: 3, ..register },
        KernelConfig {
            form: KernelForm::Staged,
            tile: Tile { rows: 4, columns4: 1, across: 4, down: 4 },
            busy_groups: 1000,
            ..register
        },
    ];
    if let Some(lanes @ (8 | 16)) = gpu.lanes() {
        let (subgroup, sliding) = (KernelConfig::subgroup(lanes), KernelConfig::sliding(lanes));
        variants.extend([
            sliding,
            KernelConfig {
                operands: OperandSource::Buffer,
                tile: Tile::sliding(lanes, 4, 8),
                busy_groups: 1000,
                max_groups: 3,
                ..sliding
            },
            KernelConfig { tile: Tile::subgroup(lanes, 4, 1), ..subgroup },
            KernelConfig {
                operands: OperandSource::Buffer,
                tile: Tile::subgroup(lanes, 4, 2),
                busy_groups: 1000,
                max_groups: 3,
                ..subgroup
            },
        ]);
    }
    variants
}

/// Small register tiles on buffers: quickly compiled.
pub fn plain() -> KernelConfig {
    let tile = Tile { rows: 4, columns4: 1, across: 8, down: 8 };
    let operands = OperandSource::Buffer;
    KernelConfig { form: KernelForm::Register, operands, tile, wide: false, busy_groups: 512, max_groups: MAX_GROUPS }
}

/// Small register tiles on texture mirrors: quickly compiled.
pub fn mirrored() -> KernelConfig {
    KernelConfig { operands: OperandSource::Texture, ..plain() }
}
