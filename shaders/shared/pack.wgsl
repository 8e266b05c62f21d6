// shared / pack
//   What kernels that are bound by memory load and store at once: VECTORS vec4 of numbers. Here it is one.

alias Pack = vec4<f32>;
const VECTORS = 1u;

fn unpack(p: Pack) -> array<vec4<f32>, VECTORS> {
    return array<vec4<f32>, VECTORS>(p);
}

fn pack(values: array<vec4<f32>, VECTORS>) -> Pack {
    return values[0];
}
