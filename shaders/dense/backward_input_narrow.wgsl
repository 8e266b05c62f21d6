// dense / backward_input_narrow
//   dx[n,i] = f'(x) * sum over o of dy[n,o] * w[i,o]
//   dy [N,O]   w [I,O]   dx [N,I];   I is a multiple of 4, O is arbitrary
//   An invocation computes four adjacent dx. `finish` multiplies by f'(x).
// with: shared/linear, shared/finish_nothing | finish_dropout | finish_producer

const INPUTS4 = 1u;
const OUTPUTS = 1u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = linear_index(group, local);
    if index >= COUNT {
        return;
    }
    let i4 = index % INPUTS4;
    let n = index / INPUTS4;

    var sum = vec4<f32>(0.0);
    for (var o = 0u; o < OUTPUTS; o++) {
        let at = i4 * 4u * OUTPUTS + o;
        let weights = vec4<f32>(w[at], w[at + OUTPUTS], w[at + 2u * OUTPUTS], w[at + 3u * OUTPUTS]);
        sum += dy[n * OUTPUTS + o] * weights;
    }
    dx[index] = finish(index, column_term(i4), sum);
}
