// verify / divide
//   value(a, b) = a / b

fn value(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return a / b;
}
