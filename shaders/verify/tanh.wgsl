// verify / tanh
//   value(a, b) = tanh(a)

fn value(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return tanh(a);
}
