// shared / weight_reduce
//   dw[m,n] = sum over s of partial[s,m,n] for m < M,   db[n] = the same sum for m = M
//   partial [PARTS, M + 1, N]   dw [M,N]   db [N]
//   The counterpart of matrix_reduce for gradients of weights and biases whose partial sums lie together. An invocation
//   adds one vec4 of all parts, in order, so that results are reproducible to the bit.
// with: shared/linear

const PARTS = 1u;
const WEIGHTS4 = 1u;

@group(0) @binding(0) var<storage, read> partial: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> dw: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> db: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    var sum = vec4<f32>(0.0);
    for (var part = 0u; part < PARTS; part++) {
        sum += partial[part * COUNT + i];
    }
    if i < WEIGHTS4 {
        dw[i] = sum;
    } else {
        db[i - WEIGHTS4] = sum;
    }
}
