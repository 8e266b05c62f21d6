// activation / sigmoid
//   f(z)  = 1 / (1 + exp(-z))
//   f'(z) = y (1 - y), where y = f(z) is the output

fn activate(z: vec4<f32>) -> vec4<f32> {
    return 1.0 / (1.0 + exp(-z));
}

fn through_activation(dy: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    return dy * y * (1.0 - y);
}
