// verify / exp_coarse
//   value(a, b) = exp(a), approximately
//   Fault injection: log2(e) has too few digits, which the verifier must detect.

fn value(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return exp2(a * 1.44269);
}
