// batch_norm / backward_input_fold
//   The values that all elements of a channel have in common:
//   folded[0,c] = mean[c]     folded[1,c] = w[c] / deviation
//   folded[2,c] = db[c] / M   folded[3,c] = dw[c] / (M deviation)
//   deviation = sqrt(var[c] + EPSILON)
//   folded [4,C], all others [C]
//   An invocation computes a pack of channels.
// with: batch_norm/rows, shared/linear, shared/pack | pack_single | pack_wide

const EPSILON = 1e-5;

@group(0) @binding(0) var<storage, read> w: array<Pack>;
@group(0) @binding(1) var<storage, read> mean: array<Pack>;
@group(0) @binding(2) var<storage, read> variance: array<Pack>;
@group(0) @binding(3) var<storage, read> dw: array<Pack>;
@group(0) @binding(4) var<storage, read> db: array<Pack>;
@group(0) @binding(5) var<storage, read_write> folded: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let c = linear_index(group, local);
    if c >= COUNT {
        return;
    }
    var scale = unpack(w[c]);
    var spread = unpack(variance[c]);
    var slope = unpack(dw[c]);
    var offset = unpack(db[c]);
    let m = f32(pooled());
    for (var e = 0u; e < VECTORS; e++) {
        let deviation = sqrt(spread[e] + EPSILON);
        scale[e] /= deviation;
        offset[e] /= m;
        slope[e] /= m * deviation;
    }
    folded[c] = mean[c];
    folded[COUNT + c] = pack(scale);
    folded[2u * COUNT + c] = pack(offset);
    folded[3u * COUNT + c] = pack(slope);
}
