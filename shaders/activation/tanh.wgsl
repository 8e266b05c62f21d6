// activation / tanh
//   f(z)  = tanh(z); the clamp does not change the result, but keeps drivers from computing inf / inf
//   f'(z) = 1 - y^2, where y = f(z) is the output

fn activate(z: vec4<f32>) -> vec4<f32> {
    return tanh(clamp(z, vec4<f32>(-15.0), vec4<f32>(15.0)));
}

fn through_activation(dy: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    return dy * (1.0 - y * y);
}
