// dense / forward, naive
//   y[n,o] = f(b[o] + sum over i of x[n,i] * w[i,o])
//   x [N,I]   w [I,O]   y [N,O]
//   An invocation computes one y, summed over all inputs, or over ROWS of them if the sum is split: y is then
//   [part,N,O], and shared/reduce_naive.wgsl adds the parts. `finish` adds b and applies f.
// with: shared/linear, shared/finish_nothing_naive | finish_bias_naive

const BATCH = 1u;
const INPUTS = 1u;
const OUTPUTS = 1u;
const ROWS = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = linear_index(group, local);
    if index >= COUNT {
        return;
    }
    let o = index % OUTPUTS;
    let n = index / OUTPUTS % BATCH;
    let part = index / (OUTPUTS * BATCH);

    var sum = 0.0;
    for (var i = part * ROWS; i < min((part + 1u) * ROWS, INPUTS); i++) {
        sum += x[n * INPUTS + i] * w[i * OUTPUTS + o];
    }
    y[index] = finish(index, sum);
}
