// dense / backward_weight, naive
//   dw[i,o] = sum over n of x[n,i] * dy[n,o]
//   x [N,I]   dy [N,O]   dw [I,O]
//   An invocation computes one dw, summed over the whole batch, or over ROWS of its rows if the sum is split: dw is
//   then [part,I,O], and shared/reduce_naive.wgsl adds the parts.
// with: shared/linear, shared/finish_nothing_naive

const BATCH = 1u;
const INPUTS = 1u;
const OUTPUTS = 1u;
const ROWS = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = linear_index(group, local);
    if index >= COUNT {
        return;
    }
    let o = index % OUTPUTS;
    let i = index / OUTPUTS % INPUTS;
    let part = index / (OUTPUTS * INPUTS);

    var sum = 0.0;
    for (var n = part * ROWS; n < min((part + 1u) * ROWS, BATCH); n++) {
        sum += x[n * INPUTS + i] * dy[n * OUTPUTS + o];
    }
    dw[index] = finish(index, sum);
}
