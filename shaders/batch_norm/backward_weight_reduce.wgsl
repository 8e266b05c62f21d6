// batch_norm / backward_weight_reduce
//   Adds the parts:
//   db[c] = sum over s of partial[s,0,c]   dw[c] = sum over s of partial[s,1,c] / sqrt(var[c] + EPSILON)
//   partial [PARTS,2,C]   all others [C]
//   An invocation computes a pack of channels.
// with: shared/linear, shared/pack | pack_single | pack_wide

const PARTS = 1u;
const EPSILON = 1e-5;

@group(0) @binding(0) var<storage, read> partial: array<Pack>;
@group(0) @binding(1) var<storage, read> variance: array<Pack>;
@group(0) @binding(2) var<storage, read_write> dw: array<Pack>;
@group(0) @binding(3) var<storage, read_write> db: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let c = linear_index(group, local);
    if c >= COUNT {
        return;
    }
    var sum: array<vec4<f32>, VECTORS>;
    var product: array<vec4<f32>, VECTORS>;
    for (var s = 0u; s < PARTS; s++) {
        var sums = unpack(partial[2u * s * COUNT + c]);
        var products = unpack(partial[(2u * s + 1u) * COUNT + c]);
        for (var e = 0u; e < VECTORS; e++) {
            sum[e] += sums[e];
            product[e] += products[e];
        }
    }
    var spread = unpack(variance[c]);
    for (var e = 0u; e < VECTORS; e++) {
        product[e] /= sqrt(spread[e] + EPSILON);
    }
    dw[c] = pack(product);
    db[c] = pack(sum);
}
