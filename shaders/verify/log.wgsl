// verify / log
//   value(a, b) = log(a), the natural logarithm

fn value(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return log(a);
}
