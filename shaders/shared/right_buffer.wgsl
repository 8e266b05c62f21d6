// shared / right_buffer
//   The right operand of the matrix engine, read from its storage; i counts vec4.

@group(0) @binding(1) var<storage, read> right: array<vec4<f32>>;

fn load_right(i: u32) -> vec4<f32> {
    return right[i];
}
