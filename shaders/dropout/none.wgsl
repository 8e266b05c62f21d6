// dropout / none
//   Like dropout/draw, for layers without dropout: nothing is dropped.

const KEPT = 1f;

fn drop_out(values: vec4<f32>, i: u32) -> vec4<f32> {
    return values;
}
