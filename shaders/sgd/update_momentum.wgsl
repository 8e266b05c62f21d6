// sgd / update_momentum
//   g = gradient + decay w,   v <- mu v + g,   w <- w - eta v,   or with Nesterov momentum w <- w - eta (g + mu v)
//   gradient, weights w, velocity v [COUNT] in packs (shared/pack.wgsl)
//   An invocation updates a pack; eta comes with the step.
// with: shared/linear, shared/step, shared/pack | pack_wide, shared/gradient | gradient_clipped

const WEIGHT_DECAY = 0f;
const MOMENTUM = 0.9f;
const NESTEROV = false;

@group(0) @binding(0) var<storage, read> gradient: array<Pack>;
@group(0) @binding(1) var<storage, read_write> weights: array<Pack>;
@group(0) @binding(2) var<storage, read_write> velocity: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    var d = unpack(gradient[i]);
    var w = unpack(weights[i]);
    var v = unpack(velocity[i]);
    for (var e = 0u; e < VECTORS; e++) {
        let g = clipped(d[e]) + WEIGHT_DECAY * w[e];
        v[e] = MOMENTUM * v[e] + g;
        w[e] = w[e] - step.learning_rate * select(v[e], g + MOMENTUM * v[e], NESTEROV);
    }
    velocity[i] = pack(v);
    weights[i] = pack(w);
}
