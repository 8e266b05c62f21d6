// batch_norm / backward_weight
//   partial[s,0,c] = sum of dy[row,c] over the rows of part s, without padding
//   partial[s,1,c] = sum of dy[row,c] (x[row,c] - mean[c]) over the same rows
//   x, dy [ROWS,C]   mean [C]   partial [parts,2,C]
//   An invocation sums CHUNK rows of one pack of channels; backward_weight_reduce adds the parts.
// with: batch_norm/rows, shared/linear, shared/pack | pack_single | pack_wide

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> dy: array<Pack>;
@group(0) @binding(2) var<storage, read> mean: array<Pack>;
@group(0) @binding(3) var<storage, read_write> partial: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let column = i % COLUMNS;
    let part = i / COLUMNS;
    var middle = unpack(mean[column]);
    var sum: array<vec4<f32>, VECTORS>;
    var product: array<vec4<f32>, VECTORS>;
    for (var row = part * CHUNK; row < min((part + 1u) * CHUNK, counted()); row++) {
        var values = unpack(x[row * COLUMNS + column]);
        var gradient = unpack(dy[row * COLUMNS + column]);
        for (var e = 0u; e < VECTORS; e++) {
            sum[e] += gradient[e];
            product[e] += gradient[e] * (values[e] - middle[e]);
        }
    }
    partial[2u * part * COLUMNS + column] = pack(sum);
    partial[(2u * part + 1u) * COLUMNS + column] = pack(product);
}
