//! The kernel configurations that a device is verified with, and the kernel that a pass launches with each.

use super::Extent;
use crate::data::hex;
use crate::gpu::{Gpu, KernelSpec, Recording};
use crate::ops::{KernelConfig, KernelForm, OperandSource, Tile};
use crate::tune::candidates;
use sha2::{Digest, Sha256};
use std::fmt;

/// The kernel that a pass launches with a configuration, as the tables, the list of known bad kernels and the tuner
/// name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// For example `conv2d/forward`: the shader of the first dispatch, which does the main work.
    pub kernel: String,
    /// The kernel's variant: form, tile and operands of the matrix engine, or the way in which other kernels load.
    pub variant: String,
    /// Hash of the shaders' texts: a listed defect applies only to the text that it was found in.
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

/// The naive kernels, the configurations that the tuner may choose and, unless the extent is quick, every form with
/// small tiles. The first ones are the same for every extent.
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

/// Every form with small tiles, so that it compiles quickly: operand sources, folded grids, sums split into many parts,
/// and 64-bit words where the device supports them.
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

/// Small register tiles that load from buffers: quick to compile.
pub fn plain() -> KernelConfig {
    let tile = Tile { rows: 4, columns4: 1, across: 8, down: 8 };
    let operands = OperandSource::Buffer;
    KernelConfig { form: KernelForm::Register, operands, tile, wide: false, ..KernelConfig::hardware() }
}

/// Small register tiles that load through texture copies: quick to compile.
pub fn mirrored() -> KernelConfig {
    KernelConfig { operands: OperandSource::Texture, ..plain() }
}
