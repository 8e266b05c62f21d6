//! How many objects wgpu holds, by its own count: what shows that a step creates none. A browser does not
//! count them.

use super::device::Gpu;

/// Objects of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Objects that are alive.
    pub alive: usize,
    /// The most that were ever alive at once.
    pub most: usize,
}

/// Objects of a device, and of others of the same instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objects {
    /// Buffers, those for reading back among them.
    pub buffers: Count,
    /// One for several mirrors.
    pub textures: Count,
    /// One a dispatch, and that of the per-step uniform.
    pub bind_groups: Count,
    /// One a kernel.
    pub pipelines: Count,
}

impl Objects {
    /// The counts, each with the name of what it counts.
    pub fn all(&self) -> [(&'static str, Count); 4] {
        let Objects { buffers, textures, bind_groups, pipelines } = *self;
        [("buffers", buffers), ("textures", textures), ("bind groups", bind_groups), ("pipelines", pipelines)]
    }
}

impl Gpu {
    /// The counts as they are now; nothing where another implementation of WebGPU keeps them.
    pub fn objects(&self) -> Option<Objects> {
        let hub = self.instance.generate_report()?.hub;
        // wgpu numbers objects, and takes a number again only after its object is gone: all numbers are the most at once.
        let count = |alive, free| Count { alive, most: alive + free };
        Some(Objects {
            buffers: count(hub.buffers.num_kept_from_user, hub.buffers.num_released_from_user),
            textures: count(hub.textures.num_kept_from_user, hub.textures.num_released_from_user),
            bind_groups: count(hub.bind_groups.num_kept_from_user, hub.bind_groups.num_released_from_user),
            pipelines: count(hub.compute_pipelines.num_kept_from_user, hub.compute_pipelines.num_released_from_user),
        })
    }
}
