// softmax / forward
//   y[n,j] = exp(x[n,j] - max) / sum over k of exp(x[n,k] - max)
//   x, y [BATCH,CLASSES];   an invocation computes a row
// with: shared/softmax, shared/logits, shared/linear

@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = linear_index(group, local);
    if row >= COUNT {
        return;
    }
    let found = look_at(row);
    for (var j = 0u; j < CLASSES; j++) {
        y[row * CLASSES + j] = probability(row, j, found);
    }
}
