// verify / exp_coarse
//   value(a, b) = about exp(a): with too few digits of log2(e), for the verifier to find

fn value(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return exp2(a * 1.44269);
}
