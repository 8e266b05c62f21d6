// verify / exp
//   value(a, b) = exp(a)

fn value(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return exp(a);
}
