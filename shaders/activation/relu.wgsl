// activation / relu
//   f(z)  = max(z, 0), written so that a NaN stays one
//   f'(z) = 1 where y > 0, else 0 (so 0 at z = 0), from the output y = f(z)

fn activate(z: vec4<f32>) -> vec4<f32> {
    return select(z, vec4<f32>(0.0), z < vec4<f32>(0.0));
}

fn through_activation(dy: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(0.0), dy, y > vec4<f32>(0.0));
}
