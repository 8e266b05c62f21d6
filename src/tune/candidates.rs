//! The kernel configurations worth trying, by kind of device.

use crate::gpu::Gpu;
use crate::ops::{KernelConfig, KernelForm, OperandSource, Tile};

/// The best guess for a device, followed by the other configurations worth trying on its kind.
pub fn candidates(gpu: &Gpu) -> Vec<KernelConfig> {
    candidates_from(KernelConfig::of(gpu))
}

/// The candidates for a device whose best guess is `seed`, which comes first.
pub fn candidates_from(seed: KernelConfig) -> Vec<KernelConfig> {
    let others: Vec<KernelConfig> = match seed.form {
        KernelForm::Subgroup | KernelForm::Sliding => {
            let lanes = seed.tile.down;
            let subgroup = |rows, columns32, busy_groups| {
                let tile = Tile::subgroup(lanes, rows, columns32);
                KernelConfig { form: KernelForm::Subgroup, tile, busy_groups, ..seed }
            };
            vec![
                KernelConfig { tile: Tile::sliding(lanes, 16, lanes / 4), ..seed },
                KernelConfig { tile: Tile::sliding(lanes, 8, lanes / 2), ..seed },
                subgroup(8, 1, 64),
                subgroup(4, 2, 64),
                subgroup(4, 2, 16),
                subgroup(8, 1, 16),
            ]
        }
        KernelForm::Register | KernelForm::Naive => {
            let tile = |rows, columns4| Tile { rows, columns4, ..seed.tile };
            vec![
                KernelConfig { tile: tile(16, 4), ..seed },
                KernelConfig { tile: tile(8, 2), ..seed },
                KernelConfig { tile: tile(8, 2), operands: OperandSource::Buffer, ..seed },
            ]
        }
        KernelForm::Staged => {
            let tile = |rows, columns4, across, down| Tile { rows, columns4, across, down };
            let register = KernelConfig { form: KernelForm::Register, tile: tile(4, 1, 8, 8), ..seed };
            vec![
                KernelConfig { tile: tile(8, 2, 16, 16), ..seed },
                KernelConfig { tile: tile(8, 2, 8, 8), ..seed },
                KernelConfig { tile: tile(4, 2, 8, 16), ..seed },
                KernelConfig { tile: tile(4, 1, 16, 16), ..seed },
                KernelConfig { tile: tile(4, 1, 8, 8), busy_groups: 2048, ..seed },
                register,
                KernelConfig { tile: tile(8, 2, 8, 8), ..register },
            ]
        }
    };
    std::iter::once(seed).chain(others).collect()
}
