// verify / sqrt
//   value(a, b) = sqrt(a)

fn value(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return sqrt(a);
}
