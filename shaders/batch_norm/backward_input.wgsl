// batch_norm / backward_input
//   dx[row,c] = f'(x[row,c]) w[c] / deviation (dy[row,c] - db[c] / M - (x[row,c] - mean[c]) dw[c] / (M deviation)),
//   or 0 in rows of padding, which are not part of the mean and the variance; what depends only on c is in folded
//   x, dy, dx [ROWS,C]   folded [4,C], from backward_input_fold
//   An invocation computes CHUNK rows of one pack of channels; f' is in `through_activation` of <activation>.wgsl.
// with: batch_norm/rows, shared/linear, shared/pack | pack_single | pack_wide
// with: activation/identity | relu | sigmoid | tanh

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> dy: array<Pack>;
@group(0) @binding(2) var<storage, read> folded: array<Pack>;
@group(0) @binding(3) var<storage, read_write> dx: array<Pack>;

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
    var offset = unpack(folded[2u * COLUMNS + column]);
    var slope = unpack(folded[3u * COLUMNS + column]);
    for (var row = first; row < min(first + CHUNK, ROWS); row++) {
        var values = unpack(x[row * COLUMNS + column]);
        var gradient = unpack(dy[row * COLUMNS + column]);
        for (var e = 0u; e < VECTORS; e++) {
            let own = scale[e] * (gradient[e] - offset[e] - (values[e] - mean[e]) * slope[e]);
            gradient[e] = through_activation(select(vec4<f32>(0.0), own, row < counted()), values[e]);
        }
        dx[row * COLUMNS + column] = pack(gradient);
    }
}
