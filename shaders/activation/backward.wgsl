// activation / backward
//   dx[i] = dy[i] * f'(x[i]), computed from y[i] = f(x[i])
//   An invocation computes four adjacent elements; f' is in `through_activation` of <activation>.wgsl.
// with: shared/linear, activation/identity | relu | sigmoid | tanh

@group(0) @binding(0) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    dx[i] = through_activation(dy[i], y[i]);
}
