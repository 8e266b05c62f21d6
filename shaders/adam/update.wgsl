// adam / update
//   g = gradient + decay w,   m <- beta1 m + (1 - beta1) g,   v <- beta2 v + (1 - beta2) g^2,
//   w <- (1 - eta decoupled decay) w - eta c1 m / (c2 sqrt(v) + epsilon)
//   gradient, weights w, first_moment m, second_moment v [COUNT] in packs (shared/pack.wgsl)
//   An invocation updates a pack. eta, c1 = 1 / (1 - beta1^t) and c2 = 1 / sqrt(1 - beta2^t) come with the step. One of
//   the decays is 0.
// with: shared/linear, shared/step, shared/pack | pack_wide, shared/gradient | gradient_clipped

const BETA1 = 0.9f;
const BETA2 = 0.999f;
const EPSILON = 1e-8f;
const WEIGHT_DECAY = 0f;
const DECOUPLED_DECAY = 0f;

@group(0) @binding(0) var<storage, read> gradient: array<Pack>;
@group(0) @binding(1) var<storage, read_write> weights: array<Pack>;
@group(0) @binding(2) var<storage, read_write> first_moment: array<Pack>;
@group(0) @binding(3) var<storage, read_write> second_moment: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    var d = unpack(gradient[i]);
    var w = unpack(weights[i]);
    var m = unpack(first_moment[i]);
    var v = unpack(second_moment[i]);
    let rate = step.learning_rate * step.first_correction;
    let kept = 1.0 - step.learning_rate * DECOUPLED_DECAY;
    for (var e = 0u; e < VECTORS; e++) {
        let g = clipped(d[e]) + WEIGHT_DECAY * w[e];
        m[e] = BETA1 * m[e] + (1.0 - BETA1) * g;
        v[e] = BETA2 * v[e] + (1.0 - BETA2) * g * g;
        w[e] = kept * w[e] - rate * m[e] / (step.second_correction * sqrt(v[e]) + EPSILON);
    }
    first_moment[i] = pack(m);
    second_moment[i] = pack(v);
    weights[i] = pack(w);
}
