// dropout / backward
//   dx[i] = 0 if i was dropped, else f'(x[i]) * dy[i] / (1 - rate)
//   an invocation computes four neighbours; the draw is `drop_out` of draw.wgsl, made again

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    dx[i] = through_activation(drop_out(dy[i], i), x[i]);
}
