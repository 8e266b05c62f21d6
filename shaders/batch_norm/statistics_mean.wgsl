// batch_norm / statistics_mean
//   partial[s,c] = sum of x[row,c] over the rows of part s, without padding
//   x [ROWS,C]   partial [parts,C]
//   An invocation sums CHUNK rows of one pack of channels; statistics_mean_reduce adds the parts.
// with: batch_norm/rows, shared/linear, shared/pack | pack_single | pack_wide

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read_write> partial: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let column = i % COLUMNS;
    let first = i / COLUMNS * CHUNK;
    var sum: array<vec4<f32>, VECTORS>;
    for (var row = first; row < min(first + CHUNK, counted()); row++) {
        var values = unpack(x[row * COLUMNS + column]);
        for (var e = 0u; e < VECTORS; e++) {
            sum[e] += values[e];
        }
    }
    partial[i] = pack(sum);
}
