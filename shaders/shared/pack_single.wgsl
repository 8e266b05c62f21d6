// shared / pack_single
//   Like shared/pack, with a single number, which is repeated in all components of its vector: for rows of any width,
//   and for the naive form.

alias Pack = f32;
const VECTORS = 1u;

fn unpack(p: Pack) -> array<vec4<f32>, VECTORS> {
    return array<vec4<f32>, VECTORS>(vec4<f32>(p));
}

fn pack(values: array<vec4<f32>, VECTORS>) -> Pack {
    return values[0].x;
}
