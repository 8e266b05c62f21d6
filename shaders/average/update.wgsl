// average / update
//   average <- decay average + (1 - decay) weights
//   weights, average [COUNT] of packs (shared/pack.wgsl); an invocation updates a pack
// with: shared/linear, shared/pack | pack_wide

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
    for (var e = 0u; e < VECTORS; e++) {
        a[e] = DECAY * a[e] + (1.0 - DECAY) * w[e];
    }
    average[i] = pack(a);
}
