//! The number of objects that wgpu holds, by its own count: used to show that a training step creates none. Not
//! available in browsers.

use super::device::Gpu;

/// Objects of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Number of objects that are alive.
    pub alive: usize,
    /// Largest number of objects that were ever alive at once.
    pub most: usize,
}

/// Numbers of objects of all devices of a wgpu instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objects {
    /// Buffers, including those for reading back.
    pub buffers: Count,
    /// Textures; several mirrors may share one.
    pub textures: Count,
    /// Bind groups: one per dispatch, and one for the per-step uniform.
    pub bind_groups: Count,
    /// Pipelines: one per kernel.
    pub pipelines: Count,
}

impl Objects {
    /// The counts with the names of their kinds.
    pub fn all(&self) -> [(&'static str, Count); 4] {
        let Objects { buffers, textures, bind_groups, pipelines } = *self;
        [("buffers", buffers), ("textures", textures), ("bind groups", bind_groups), ("pipelines", pipelines)]
    }
}

impl Gpu {
    /// The current counts; `None` if WebGPU is not implemented by wgpu itself.
    pub fn objects(&self) -> Option<Objects> {
        let hub = self.instance.generate_report()?.hub;
        // wgpu numbers its objects and reuses the numbers of released ones, so the count of numbers is the maximum of
        // objects alive at once.
        let count = |alive, free| Count { alive, most: alive + free };
        Some(Objects {
            buffers: count(hub.buffers.num_kept_from_user, hub.buffers.num_released_from_user),
            textures: count(hub.textures.num_kept_from_user, hub.textures.num_released_from_user),
            bind_groups: count(hub.bind_groups.num_kept_from_user, hub.bind_groups.num_released_from_user),
            pipelines: count(hub.compute_pipelines.num_kept_from_user, hub.compute_pipelines.num_released_from_user),
        })
    }
}
