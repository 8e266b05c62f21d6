//! Storages and regions: where tensors are stored, on any device.

/// Index of a storage: one buffer on a GPU, one vector on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorageId(pub usize);

/// A part of a storage, in 4-byte elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    /// The storage that the region belongs to.
    pub storage: StorageId,
    /// Index of the region's first element in the storage.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
}

impl Region {
    /// Whether two regions share an element.
    pub fn overlaps(&self, other: &Region) -> bool {
        self.storage == other.storage && self.offset < other.offset + other.len && other.offset < self.offset + self.len
    }
}
