// shared / left_buffer
//   The left operand of the matrix engine, read from its storage; i counts vec4.

@group(0) @binding(0) var<storage, read> left: array<vec4<f32>>;

fn load_left(i: u32) -> vec4<f32> {
    return left[i];
}
