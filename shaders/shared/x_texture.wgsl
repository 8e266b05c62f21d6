// shared / x_texture
//   The x of an epilogue, read from the mirror of its storage: rows of 4096 texels, the operand's first at X_FIRST.

const X_FIRST = 0u;

@group(0) @binding(3) var x: texture_storage_2d<rgba32float, read>;

fn load_x(i: u32) -> vec4<f32> {
    let at = i + X_FIRST;
    return textureLoad(x, vec2<u32>(at & 4095u, at >> 12u));
}
