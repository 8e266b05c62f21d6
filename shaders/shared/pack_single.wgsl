// shared / pack_single
//   The same as shared/pack, one number at once, which fills all four places of its vector: for rows of any width, and to
//   be read first.

alias Pack = f32;
const VECTORS = 1u;

fn unpack(p: Pack) -> array<vec4<f32>, VECTORS> {
    return array<vec4<f32>, VECTORS>(vec4<f32>(p));
}

fn pack(values: array<vec4<f32>, VECTORS>) -> Pack {
    return values[0].x;
}
