// shared / right_texture
//   The engine's right operand, read from the mirror of its storage: rows of 4096 texels, the operand's first at RIGHT_FIRST.

const RIGHT_FIRST = 0u;

@group(0) @binding(1) var right: texture_storage_2d<rgba32float, read>;

fn load_right(i: u32) -> vec4<f32> {
    let at = i + RIGHT_FIRST;
    return textureLoad(right, vec2<u32>(at & 4095u, at >> 12u));
}
