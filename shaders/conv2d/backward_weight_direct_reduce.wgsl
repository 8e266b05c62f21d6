// conv2d / backward_weight_direct_reduce
//   dw[t,k] = sum over part of partial[part,t,k] for t = (r,s,c),   db[k] = the same sum for t = R*S*C
//   partial [PARTS, R*S*C + 1, K]   dw [R,S,C,K]   db [K]
//   An invocation adds one vec4 of all parts, in order, so that results are reproducible to the bit.
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
