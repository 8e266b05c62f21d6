// activation / relu
//   f(z)  = max(z, 0), written so that a NaN remains a NaN
//   f'(z) = 1 if y > 0, otherwise 0 (also at z = 0), where y = f(z) is the output

fn activate(z: vec4<f32>) -> vec4<f32> {
    return select(z, vec4<f32>(0.0), z < vec4<f32>(0.0));
}

fn through_activation(dy: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(0.0), dy, y > vec4<f32>(0.0));
}
