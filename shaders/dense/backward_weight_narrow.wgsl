// dense / backward_weight_narrow
//   dw[i,o] = sum over n of x[n,i] * dy[n,o],   db[o] = sum over n of dy[n,o]
//   x [N,I]   dy [N,O]   dw [I,O]   db [O];   I is a multiple of 4, O is arbitrary
//   An invocation computes one column of four adjacent rows of dw. The last OUTPUTS of them compute db.
// with: shared/linear

const BATCH = 1u;
const INPUTS4 = 1u;
const OUTPUTS = 1u;

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;
@group(0) @binding(3) var<storage, read_write> db: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = linear_index(group, local);
    if index >= COUNT {
        return;
    }
    let o = index % OUTPUTS;
    let i4 = index / OUTPUTS;
    if i4 == INPUTS4 {
        var bias = 0.0;
        for (var n = 0u; n < BATCH; n++) {
            bias += dy[n * OUTPUTS + o];
        }
        db[o] = bias;
        return;
    }

    var sum = vec4<f32>(0.0);
    for (var n = 0u; n < BATCH; n++) {
        sum += x[n * INPUTS4 + i4] * dy[n * OUTPUTS + o];
    }
    let at = i4 * 4u * OUTPUTS + o;
    dw[at] = sum.x;
    dw[at + OUTPUTS] = sum.y;
    dw[at + 2u * OUTPUTS] = sum.z;
    dw[at + 3u * OUTPUTS] = sum.w;
}
