//! The values that change from step to step of a training.

/// The values that change from step to step: the per-step uniform. `struct Step` in `shaders/shared/step.wgsl` must be
/// the same, which is checked when a kernel is created.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Step {
    /// Low half of the run's seed.
    pub seed_low: u32,
    /// High half of the run's seed.
    pub seed_high: u32,
    /// Number of the step in the whole run, from 0; dropout and augmentation derive random numbers from it.
    pub step: u32,
    /// Position in the data order of the first image of the batch.
    pub first: u32,
    /// Number of images in the batch; the remaining rows are padding, whose gradients are zero.
    pub count: u32,
    /// Index at which the step stores its loss and its count of correct predictions.
    pub slot: u32,
    /// Learning rate, eta.
    pub learning_rate: f32,
    /// c1 of [`adam`](super::adam); 1 for other optimizers.
    pub first_correction: f32,
    /// c2 of [`adam`](super::adam); 1 for other optimizers.
    pub second_correction: f32,
    /// Largest fraction that the average of the weights keeps in this step: see [`average`](super::average).
    pub average_limit: f32,
    /// Row of the whole batch at which these images begin: 0 unless they are a slice of a batch. Random numbers depend
    /// on the place of an image in the whole batch.
    pub row: u32,
    /// Number of images in the whole batch, by which the loss is divided; 0 if it is this one.
    pub total: u32,
    /// Number of images over which [`batch_norm`](super::batch_norm) takes its statistics, if the ranks share them; 0
    /// if they are those of this slice.
    pub pooled: u32,
    /// Number of this slice among those whose gradients are [accumulated](super::accumulate), from 0.
    pub part: u32,
    /// Padding to 64 bytes, because some devices require a multiple of 16.
    pub reserved: [u32; 2],
}

impl Step {
    /// Name, offset in bytes and type of each member.
    pub const FIELDS: &'static [crate::gpu::Field] = &[
        ("seed_low", std::mem::offset_of!(Step, seed_low), "u32"),
        ("seed_high", std::mem::offset_of!(Step, seed_high), "u32"),
        ("step", std::mem::offset_of!(Step, step), "u32"),
        ("first", std::mem::offset_of!(Step, first), "u32"),
        ("count", std::mem::offset_of!(Step, count), "u32"),
        ("slot", std::mem::offset_of!(Step, slot), "u32"),
        ("learning_rate", std::mem::offset_of!(Step, learning_rate), "f32"),
        ("first_correction", std::mem::offset_of!(Step, first_correction), "f32"),
        ("second_correction", std::mem::offset_of!(Step, second_correction), "f32"),
        ("average_limit", std::mem::offset_of!(Step, average_limit), "f32"),
        ("row", std::mem::offset_of!(Step, row), "u32"),
        ("total", std::mem::offset_of!(Step, total), "u32"),
        ("pooled", std::mem::offset_of!(Step, pooled), "u32"),
        ("part", std::mem::offset_of!(Step, part), "u32"),
        ("reserved", std::mem::offset_of!(Step, reserved), "u32"),
        ("reserved_2", std::mem::offset_of!(Step, reserved) + 4, "u32"),
    ];
}

impl Step {
    /// Number of images by which the loss is divided, given how many rows the compiled batch has.
    pub fn divisor(&self, batch: usize) -> usize {
        batch.min(self.count as usize).max(self.total as usize)
    }

    /// The steps of an epoch over `images` images: one step per batch, of which the last may be smaller. `done` is the
    /// number of steps before the epoch.
    pub fn epoch(images: usize, batch: usize, done: usize, seed: u64, learning_rate: f32) -> Vec<Step> {
        let firsts = (0..images).step_by(batch.max(1)).enumerate();
        let step = |(slot, first): (usize, usize)| Step {
            seed_low: seed as u32,
            seed_high: (seed >> 32) as u32,
            step: (done + slot) as u32,
            first: first as u32,
            count: batch.min(images - first) as u32,
            slot: slot as u32,
            learning_rate,
            first_correction: 1.0,
            second_correction: 1.0,
            average_limit: super::average::limit(done + slot),
            ..Step::default()
        };
        firsts.map(step).collect()
    }
}
