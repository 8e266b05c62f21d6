// average / update
//   average <- d average + (1 - d) weights, where d = min(decay, the limit of the step)
//   weights, average [COUNT] in packs (shared/pack.wgsl);   an invocation updates a pack
// with: shared/linear, shared/step, shared/pack | pack_wide

const DECAY = 0.999f;

@group(0) @binding(0) var<storage, read> weights: array<Pack>;
@group(0) @binding(1) var<storage, read_write> average: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    var w = unpack(weights[i]);
    var a = unpack(average[i]);
    let decay = min(DECAY, step.average_limit);
    for (var e = 0u; e < VECTORS; e++) {
        a[e] = decay * a[e] + (1.0 - decay) * w[e];
    }
    average[i] = pack(a);
}
