// shared / pack
//   The unit that memory-bound kernels load and store at once: VECTORS vec4 of numbers, here one.

alias Pack = vec4<f32>;
const VECTORS = 1u;

fn unpack(p: Pack) -> array<vec4<f32>, VECTORS> {
    return array<vec4<f32>, VECTORS>(p);
}

fn pack(values: array<vec4<f32>, VECTORS>) -> Pack {
    return values[0];
}
