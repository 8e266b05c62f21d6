// shared / gradient
//   The gradient in an update, without clipping.

fn clipped(d: vec4<f32>) -> vec4<f32> {
    return d;
}
