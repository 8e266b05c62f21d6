// batch_norm / statistics_mean_reduce
//   Adds the parts:
//   mean[c] = sum over s of partial[s,c] / M, or 0 in a slice without images
//   partial [PARTS,C]   mean [C]
//   An invocation computes a pack of channels.
// with: batch_norm/rows, shared/linear, shared/pack | pack_single | pack_wide

const PARTS = 1u;

@group(0) @binding(0) var<storage, read> partial: array<Pack>;
@group(0) @binding(1) var<storage, read_write> mean: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let c = linear_index(group, local);
    if c >= COUNT {
        return;
    }
    var sum: array<vec4<f32>, VECTORS>;
    for (var s = 0u; s < PARTS; s++) {
        var values = unpack(partial[s * COLUMNS + c]);
        for (var e = 0u; e < VECTORS; e++) {
            sum[e] += values[e];
        }
    }
    for (var e = 0u; e < VECTORS; e++) {
        sum[e] /= f32(max(counted(), 1u));
    }
    mean[c] = pack(sum);
}
