// shared / step
//   The values that change from step to step. This struct must match `Step` of src/ops/step.rs, which is checked when a
//   kernel is created.

struct Step {
    seed_low: u32,
    seed_high: u32,
    step: u32,
    first: u32,
    count: u32,
    slot: u32,
    learning_rate: f32,
    first_correction: f32,
    second_correction: f32,
    average_limit: f32,
    row: u32,
    total: u32,
    pooled: u32,
    part: u32,
    reserved: u32,
    reserved_2: u32,
}

@group(1) @binding(0) var<uniform> step: Step;
