// verify / sweep
//   y[i] = value(a[i], b[i])
//   a, b, y [COUNT] in vec4;   `value` is in <function>.wgsl and calls the function as kernels do
// with: shared/linear, verify/divide | exp | exp_coarse | log | sqrt | tanh

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    y[i] = value(a[i], b[i]);
}
