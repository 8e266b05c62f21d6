// sgd / update
//   w <- w - eta (gradient + decay w)
//   gradient, weights w [COUNT] in packs (shared/pack.wgsl)
//   An invocation updates a pack; eta comes with the step.
// with: shared/linear, shared/step, shared/pack | pack_wide, shared/gradient | gradient_clipped

const WEIGHT_DECAY = 0f;

@group(0) @binding(0) var<storage, read> gradient: array<Pack>;
@group(0) @binding(1) var<storage, read_write> weights: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    var d = unpack(gradient[i]);
    var w = unpack(weights[i]);
    for (var e = 0u; e < VECTORS; e++) {
        w[e] = w[e] - step.learning_rate * (clipped(d[e]) + WEIGHT_DECAY * w[e]);
    }
    weights[i] = pack(w);
}
