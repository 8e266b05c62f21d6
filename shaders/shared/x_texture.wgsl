// shared / x_texture
//   The operand x of an epilogue, read from its texture mirror, which has rows of 4096 texels.

@group(0) @binding(3) var x: texture_storage_2d<rgba32float, read>;

fn load_x(i: u32) -> vec4<f32> {
    return textureLoad(x, vec2<u32>(i & 4095u, i >> 12u));
}
