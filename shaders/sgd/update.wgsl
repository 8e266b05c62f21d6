// sgd / update
//   w <- w - eta (g + decay w)                                   (equations 4 and 5)
//   gradient, weights [4 COUNT]; an invocation updates four neighbours; eta comes with the step

const WEIGHT_DECAY = 0f;

@group(0) @binding(0) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> weights: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let w = weights[i];
    weights[i] = w - step.learning_rate * (gradient[i] + WEIGHT_DECAY * w);
}
