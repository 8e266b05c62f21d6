// shared / column_sums
//   partial[s,n] = sum over the rows m of part s of dy[m,n],   dy [ROWS, 4 COLUMNS4], read by `load_left`
//   An invocation sums CHUNK rows of four columns; matrix_reduce or matrix_reduce_tree
//   adds the parts.
// with: shared/linear, shared/left_buffer | left_texture

const ROWS = 1u;
const COLUMNS4 = 1u;
const CHUNK = 1u;

@group(0) @binding(1) var<storage, read_write> partial: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let column = i % COLUMNS4;
    let first = i / COLUMNS4 * CHUNK;
    var sum = vec4<f32>(0.0);
    for (var row = first; row < min(first + CHUNK, ROWS); row++) {
        sum += load_left(row * COLUMNS4 + column);
    }
    partial[i] = sum;
}
