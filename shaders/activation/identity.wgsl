// activation / identity
//   f(z)  = z
//   f'(z) = 1

fn activate(z: vec4<f32>) -> vec4<f32> {
    return z;
}

fn through_activation(dy: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    return dy;
}
