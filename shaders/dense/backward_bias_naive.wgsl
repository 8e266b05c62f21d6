// dense / backward_bias, naive
//   db[o] = sum over n of dy[n,o]
//   dy [N,O]   db [O]
//   An invocation computes one db, summed over the whole batch, or over ROWS of its rows if the sum is split: db is
//   then [part,O], and shared/reduce_naive.wgsl adds the parts.
// with: shared/linear, shared/finish_nothing_naive

const BATCH = 1u;
const OUTPUTS = 1u;
const ROWS = 1u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> db: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = linear_index(group, local);
    if index >= COUNT {
        return;
    }
    let o = index % OUTPUTS;
    let part = index / OUTPUTS;

    var sum = 0.0;
    for (var n = part * ROWS; n < min((part + 1u) * ROWS, BATCH); n++) {
        sum += dy[n * OUTPUTS + o];
    }
    db[index] = finish(index, sum);
}
