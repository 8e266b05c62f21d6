// shared / gradient_clipped
//   What an update takes of a gradient: as much as clip/scale says.

@group(0) @binding(4) var<storage, read> scale: array<f32>;

fn clipped(d: vec4<f32>) -> vec4<f32> {
    return scale[0] * d;
}
