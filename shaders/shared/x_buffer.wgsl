// shared / x_buffer
//   The operand x of an epilogue, read from its storage; i counts vec4.

@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;

fn load_x(i: u32) -> vec4<f32> {
    return x[i];
}
