// shared / gradient
//   What an update takes of a gradient: all of it.

fn clipped(d: vec4<f32>) -> vec4<f32> {
    return d;
}
