// shared / gradient_clipped
//   The gradient in an update, with clipping: multiplied by the factor that clip/scale has computed.

@group(0) @binding(4) var<storage, read> scale: array<f32>;

fn clipped(d: vec4<f32>) -> vec4<f32> {
    return scale[0] * d;
}
