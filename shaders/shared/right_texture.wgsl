// shared / right_texture
//   The right operand of the matrix engine, read from its texture mirror, which has rows of 4096 texels.

@group(0) @binding(1) var right: texture_storage_2d<rgba32float, read>;

fn load_right(i: u32) -> vec4<f32> {
    return textureLoad(right, vec2<u32>(i & 4095u, i >> 12u));
}
