// clip / squares
//   partial[s] = sum over part s of gradient^2
//   gradient [PACKS] in packs (shared/pack.wgsl)   partial [PARTS]
//   Each invocation of workgroup s sums every PARTS * 64th pack, and the first one adds their sums.
// with: shared/linear, shared/pack | pack_wide

const PACKS = 1u;
const PARTS = 1u;
const LANES = 64u;

@group(0) @binding(0) var<storage, read> gradient: array<Pack>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;

var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let part = linear_group(group);
    var sum = vec4<f32>(0.0);
    for (var i = linear_index(group, lane); i < PACKS; i += PARTS * LANES) {
        var d = unpack(gradient[i]);
        for (var e = 0u; e < VECTORS; e++) {
            sum += d[e] * d[e];
        }
    }
    sums[lane] = sum.x + sum.y + sum.z + sum.w;
    workgroupBarrier();
    // A folded grid may have excess workgroups.
    if lane == 0u && part < PARTS {
        var total = sums[0];
        for (var other = 1u; other < LANES; other++) {
            total += sums[other];
        }
        partial[part] = total;
    }
}
