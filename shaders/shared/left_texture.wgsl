// shared / left_texture
//   The left operand of the matrix engine, read from its texture mirror, which has rows of 4096 texels.

@group(0) @binding(0) var left: texture_storage_2d<rgba32float, read>;

fn load_left(i: u32) -> vec4<f32> {
    return textureLoad(left, vec2<u32>(i & 4095u, i >> 12u));
}
