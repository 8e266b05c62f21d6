// batch_norm / forward
//   y[row,c] = f(w[c] (x[row,c] - mean[c]) / sqrt(var[c] + epsilon) + b[c]);   what depends only on c is in folded
//   x, y [ROWS,C]   folded [3,C], from forward_fold
//   An invocation computes CHUNK rows of one pack of channels; f is `activate` of <activation>.wgsl.
// with: batch_norm/rows, shared/linear, shared/pack | pack_single | pack_wide
// with: activation/identity | relu | sigmoid | tanh

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> folded: array<Pack>;
@group(0) @binding(2) var<storage, read_write> y: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let column = i % COLUMNS;
    let first = i / COLUMNS * CHUNK;
    var mean = unpack(folded[column]);
    var scale = unpack(folded[COLUMNS + column]);
    var b = unpack(folded[2u * COLUMNS + column]);
    for (var row = first; row < min(first + CHUNK, ROWS); row++) {
        var values = unpack(x[row * COLUMNS + column]);
        for (var e = 0u; e < VECTORS; e++) {
            values[e] = activate((values[e] - mean[e]) * scale[e] + b[e]);
        }
        y[row * COLUMNS + column] = pack(values);
    }
}
