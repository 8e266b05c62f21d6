//! The kernel configurations worth trying, by kind of device.

use crate::gpu::Gpu;
use crate::ops::{KernelConfig, KernelForm, OperandSource, Tile};

/// The best guess for a device, followed by the other configurations worth trying on its kind.
pub fn candidates(gpu: &Gpu) -> Vec<KernelConfig> {
    let mut candidates = candidates_from(KernelConfig::of(gpu));
    let deep = deep(candidates[0]).filter(|config| config.check_fit(gpu).is_ok());
    candidates.extend(deep);
    candidates
}

/// Staged tiles that use more workgroup memory than every device has.
fn deep(seed: KernelConfig) -> impl Iterator<Item = KernelConfig> {
    let tile = |rows, columns4, across, down| Tile { rows, columns4, across, down };
    let tiles = [(tile(8, 2, 8, 16), 32), (tile(8, 2, 8, 8), 32), (tile(8, 2, 16, 16), 48)];
    let is_staged = seed.form == KernelForm::Staged;
    tiles.into_iter().filter(move |_| is_staged).map(move |(tile, kib)| KernelConfig {
        tile,
        memory: kib << 10,
        ..seed
    })
}

/// The candidates for a device whose best guess is `seed`, which comes first. They need no more than every device has.
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
            let staged = |tile, busy_groups| KernelConfig { tile, busy_groups, ..seed };
            vec![
                staged(tile(8, 2, 16, 16), 512), // 128x128, 8x8 each
                staged(tile(8, 2, 8, 8), 512),   // 64x64
                staged(tile(8, 2, 8, 8), 2048),
                staged(tile(12, 2, 8, 8), 512), // 96x64, 12x8 each
                staged(tile(12, 2, 8, 8), 1056),
                staged(tile(8, 1, 8, 16), 512),  // 128x32, 8x4 each
                staged(tile(16, 1, 8, 8), 512),  // 128x32, 16x4 each
                staged(tile(4, 2, 8, 13), 512),  // 52x64, 4x8 each: half a batch of 100
                staged(tile(4, 2, 8, 25), 512),  // 100x64
                staged(tile(4, 2, 8, 16), 512),  // 64x64
                staged(tile(4, 1, 16, 16), 512), // 64x64, 4x4 each
                staged(tile(4, 1, 8, 8), 2048),  // 32x32
                register,
                KernelConfig { tile: tile(8, 2, 8, 8), ..register },
            ]
        }
    };
    std::iter::once(seed).chain(others).collect()
}
