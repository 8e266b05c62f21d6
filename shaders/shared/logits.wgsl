// shared / logits
//   The logits x [BATCH,CLASSES] in memory, for the passes over rows of them.

@group(0) @binding(0) var<storage, read> x: array<f32>;

fn logit(row: u32, j: u32) -> f32 {
    return x[row * CLASSES + j];
}
