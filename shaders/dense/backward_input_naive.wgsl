// dense / backward_input, naive
//   dx[n,i] = f'(x[n,i]) * sum over o of dy[n,o] * w[i,o]
//   dy [N,O]   w [I,O]   dx [N,I]
//   An invocation computes one dx, summed over all outputs, or over ROWS of them if the sum is split: dx is then
//   [part,N,I], and shared/reduce_naive.wgsl adds the parts. `finish` multiplies by f'(x).
// with: shared/linear, shared/finish_nothing_naive | finish_dropout_naive | finish_producer_naive

const BATCH = 1u;
const INPUTS = 1u;
const OUTPUTS = 1u;
const ROWS = 1u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = linear_index(group, local);
    if index >= COUNT {
        return;
    }
    let i = index % INPUTS;
    let n = index / INPUTS % BATCH;
    let part = index / (INPUTS * BATCH);

    var sum = 0.0;
    for (var o = part * ROWS; o < min((part + 1u) * ROWS, OUTPUTS); o++) {
        sum += dy[n * OUTPUTS + o] * w[i * OUTPUTS + o];
    }
    dx[index] = finish(index, sum);
}
