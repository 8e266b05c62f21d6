// accumulate / add
//   sum <- gradients in the first part of a batch, and sum + gradients in every other
//   gradients, sum [COUNT] in packs (shared/pack.wgsl);   an invocation adds a pack
// with: shared/linear, shared/step, shared/pack | pack_wide

@group(0) @binding(0) var<storage, read> gradients: array<Pack>;
@group(0) @binding(1) var<storage, read_write> sum: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    var total = unpack(gradients[i]);
    if step.part > 0u {
        var before = unpack(sum[i]);
        for (var e = 0u; e < VECTORS; e++) {
            total[e] = before[e] + total[e];
        }
    }
    sum[i] = pack(total);
}
