//! Storages and regions: where tensors live, on whatever device.

/// Index of a storage: one buffer on the device, one vector on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorageId(pub usize);

/// A part of a storage, in 4-byte elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    /// The storage that it is a part of.
    pub storage: StorageId,
    /// Position of its first element in the storage.
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
