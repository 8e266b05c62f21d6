// sgd / update_momentum
//   g = gradient + decay w,   v <- mu v + g,   w <- w - eta v,   or with Nesterov's look-ahead w <- w - eta (g + mu v)
//   gradient, weights, velocity [4 COUNT]; an invocation updates four neighbours; eta comes with the step

const WEIGHT_DECAY = 0f;
const MOMENTUM = 0.9f;
const NESTEROV = false;

@group(0) @binding(0) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> velocity: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let w = weights[i];
    let g = gradient[i] + WEIGHT_DECAY * w;
    let v = MOMENTUM * velocity[i] + g;
    velocity[i] = v;
    weights[i] = w - step.learning_rate * select(v, g + MOMENTUM * v, NESTEROV);
}
