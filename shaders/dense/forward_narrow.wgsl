// dense / forward_narrow
//   y[n,o] = f(b[o] + sum over i of x[n,i] * w[i,o])
//   x [N,I]   w [I,O]   y [N,O];   I is a multiple of 4, O is arbitrary, such as the ten classes of a last layer
//   An invocation computes one column of ROWS adjacent rows, so that it reads w only once for all of them. `finish`
//   adds b and applies f.
// with: shared/linear, shared/finish_bias_naive

const BATCH = 1u;
const INPUTS4 = 1u;
const OUTPUTS = 1u;
const ROWS = 4u;

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = linear_index(group, local);
    if index >= COUNT {
        return;
    }
    let o = index % OUTPUTS;
    let n0 = index / OUTPUTS * ROWS;

    var sums: array<f32, ROWS>;
    for (var i4 = 0u; i4 < INPUTS4; i4++) {
        let at = i4 * 4u * OUTPUTS + o;
        let weights = vec4<f32>(w[at], w[at + OUTPUTS], w[at + 2u * OUTPUTS], w[at + 3u * OUTPUTS]);
        for (var t = 0u; t < ROWS; t++) {
            sums[t] += dot(x[min(n0 + t, BATCH - 1u) * INPUTS4 + i4], weights);
        }
    }
    for (var t = 0u; t < ROWS; t++) {
        if n0 + t < BATCH {
            let at = (n0 + t) * OUTPUTS + o;
            y[at] = finish(at, sums[t]);
        }
    }
}
