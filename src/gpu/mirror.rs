//! Texture mirrors: which regions have one, and which of them share a texture.
//!
//! A mirror is alive from its copy to the last dispatch that reads it before the next copy. The [`Recording`] already
//! contains the copies that are needed. Two mirrors share a texture only if neither is copied while the other is still
//! to be read, so sharing needs no further copies.

use super::recording::{Command, Operand, Recording};
use crate::lifetime::{Lifetime, assign};
use crate::storage::{Region, StorageId};

/// Number of texels per row of a texture; kernels in `shaders/shared/` that read mirrors rely on it.
pub(super) const WIDTH: u32 = 4096;
pub(super) const TEXEL_BYTES: u64 = 16;
/// Number of bytes per row of a texture; copies move whole rows.
pub(super) const ROW_BYTES: u64 = WIDTH as u64 * TEXEL_BYTES;

/// The mirrors of one or several programs that use the same memory.
#[derive(Clone, Debug, Default)]
pub struct Mirrors {
    /// Every mirrored region, and the index of its texture.
    regions: Vec<(Region, usize)>,
    /// Number of rows of each texture.
    rows: Vec<u64>,
}

impl Mirrors {
    /// The mirrors of programs that run one after the other.
    pub fn new(recordings: &[&Recording]) -> Mirrors {
        let mut regions: Vec<Region> = Vec::new();
        let mut lives: Vec<Lifetime> = Vec::new();
        for (list, recording) in recordings.iter().enumerate() {
            for (at, command) in recording.commands.iter().enumerate() {
                match command {
                    Command::Mirror { region, .. } => match regions.iter().position(|known| known == region) {
                        Some(mirror) => lives[mirror].begin(list, at),
                        None => {
                            regions.push(*region);
                            lives.push(Lifetime::default());
                            lives[regions.len() - 1].begin(list, at);
                        }
                    },
                    Command::Dispatch(dispatch) => {
                        for (_, operand) in &dispatch.reads {
                            let read = regions.iter().position(|known| *operand == Operand::Mirror(*known));
                            if let Some(mirror) = read {
                                lives[mirror].reach(list, at);
                            }
                        }
                    }
                }
            }
        }
        let sizes: Vec<usize> = regions.iter().map(|region| rows(region) as usize).collect();
        let textures = assign(&sizes, &lives);
        let mut mirrors = Mirrors { regions: regions.into_iter().zip(textures).collect(), rows: Vec::new() };
        for (region, texture) in &mirrors.regions {
            mirrors.rows.resize(mirrors.rows.len().max(texture + 1), 0);
            mirrors.rows[*texture] = mirrors.rows[*texture].max(rows(region));
        }
        mirrors
    }

    /// Index of the texture that mirrors a region, if it is mirrored.
    pub fn texture(&self, region: &Region) -> Option<usize> {
        self.regions.iter().find(|(known, _)| known == region).map(|(_, texture)| *texture)
    }

    /// Size of each texture in bytes.
    pub fn textures(&self) -> impl Iterator<Item = u64> {
        self.rows.iter().map(|rows| rows * ROW_BYTES)
    }

    /// The regions whose mirrors share a texture.
    pub fn regions(&self, texture: usize) -> impl Iterator<Item = &Region> {
        self.regions.iter().filter(move |(_, other)| *other == texture).map(|(region, _)| region)
    }

    /// Size in bytes that all textures would have together if each mirror had its own.
    pub(crate) fn bytes_apart(&self) -> u64 {
        self.regions.iter().map(|(region, _)| rows(region) * ROW_BYTES).sum()
    }

    /// Size in bytes of the buffer of a storage of `len` elements: the last row of a copy may extend beyond its region.
    pub(crate) fn buffer_bytes(&self, storage: StorageId, len: usize) -> u64 {
        let own = (len as u64 * 4).next_multiple_of(TEXEL_BYTES);
        let mirrored = self.regions.iter().map(|(region, _)| region).filter(|region| region.storage == storage);
        mirrored.map(|region| region.offset as u64 * 4 + rows(region) * ROW_BYTES).fold(own, u64::max)
    }
}

/// Number of rows of a region's mirror.
pub(super) fn rows(region: &Region) -> u64 {
    (region.len as u64 * 4).div_ceil(ROW_BYTES).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::recording::{Dispatch, Variant, Work};
    use crate::gpu::shader::KernelSpec;

    fn region(storage: usize, len: usize) -> Region {
        Region { storage: StorageId(storage), offset: 0, len }
    }

    /// A dispatch that reads mirrors and writes a buffer.
    fn dispatch(reads: &[Region], writes: Region) -> Dispatch {
        Dispatch {
            label: "pass".into(),
            kernel: KernelSpec::new([]),
            reads: reads.iter().map(|region| ("x", Operand::Mirror(*region))).collect(),
            writes: vec![("y", Operand::Buffer(writes))],
            groups: [1, 1],
            cost: Work::default(),
            variant: Variant::default(),
        }
    }

    #[test]
    fn mirrors_share_a_texture() {
        let (a, b, c) = (region(0, 4 * 4096 * 3), region(1, 4 * 4096 * 2), region(2, 1));
        let mut train = Recording::new();
        train.dispatch(dispatch(&[a], b));
        train.dispatch(dispatch(&[b], c));
        train.dispatch(dispatch(&[b, c], a));
        let mirrors = Mirrors::new(&[&train]);
        assert_eq!([a, b, c].map(|region| mirrors.texture(&region)), [Some(0), Some(0), Some(1)]);
        assert_eq!(mirrors.textures().collect::<Vec<_>>(), [3 * ROW_BYTES, ROW_BYTES]);
        assert_eq!(mirrors.regions(0).collect::<Vec<_>>(), [&a, &b]);
        assert_eq!(mirrors.bytes_apart(), 6 * ROW_BYTES);
        assert_eq!(mirrors.texture(&region(3, 1)), None);

        // Together with a recording that reads the first two at once.
        let mut evaluate = Recording::new();
        evaluate.dispatch(dispatch(&[a, b], c));
        let mirrors = Mirrors::new(&[&train, &evaluate]);
        assert_eq!([a, b, c].map(|region| mirrors.texture(&region)), [Some(0), Some(1), Some(0)]);
    }

    #[test]
    fn a_mirror_that_is_read_again_without_a_copy_keeps_its_texture() {
        let (a, b, c) = (region(0, 8), region(1, 8), region(2, 8));
        let mut recording = Recording::new();
        recording.dispatch(dispatch(&[a], b));
        recording.dispatch(dispatch(&[b], c));
        recording.dispatch(dispatch(&[a], c));
        let mirrors = Mirrors::new(&[&recording]);
        assert_ne!(mirrors.texture(&a), mirrors.texture(&b));
        // If it is written in between, it is copied again and needs no texture until then.
        let mut recording = Recording::new();
        recording.dispatch(dispatch(&[a], b));
        recording.dispatch(dispatch(&[b], a));
        recording.dispatch(dispatch(&[a], c));
        assert_eq!(recording.commands.len(), 6, "three copies");
        let mirrors = Mirrors::new(&[&recording]);
        assert_eq!(mirrors.texture(&a), mirrors.texture(&b));
    }

    #[test]
    fn a_buffer_holds_every_row_that_is_copied() {
        let row = ROW_BYTES as usize / 4;
        let parts = [(0, 3), (64, row), (128, 2 * row + 1)].map(|(offset, len)| Region { offset, ..region(0, len) });
        let mut recording = Recording::new();
        for part in parts {
            recording.dispatch(dispatch(&[part], region(1, 1)));
        }
        let mirrors = Mirrors::new(&[&recording]);
        assert_eq!(mirrors.buffer_bytes(StorageId(0), 7), 128 * 4 + 3 * ROW_BYTES);
        assert_eq!(mirrors.buffer_bytes(StorageId(0), 9 * row), 9 * ROW_BYTES);
        assert_eq!(mirrors.buffer_bytes(StorageId(1), 5), 32);
    }
}
