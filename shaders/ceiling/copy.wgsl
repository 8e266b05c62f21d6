// ceiling / copy
//   y[i] = x[i]
//   x, y [COUNT] in vec4, much larger than the caches of the device: measures the memory bandwidth.
// with: shared/linear

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    y[i] = x[i];
}
