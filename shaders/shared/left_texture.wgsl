// shared / left_texture
//   The engine's left operand, read from the mirror of its storage: rows of 4096 texels, the operand's first at LEFT_FIRST.

const LEFT_FIRST = 0u;

@group(0) @binding(0) var left: texture_storage_2d<rgba32float, read>;

fn load_left(i: u32) -> vec4<f32> {
    let at = i + LEFT_FIRST;
    return textureLoad(left, vec2<u32>(at & 4095u, at >> 12u));
}
