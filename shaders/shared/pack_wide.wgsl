// shared / pack_wide
//   Like shared/pack, with eight numbers: two in each 64-bit word, the first in its low half. A driver that loads and
//   stores word by word and lane by lane then does half the work. Needs a device with 64-bit integers.

alias Pack = vec4<u64>;
const VECTORS = 2u;

fn unpack(p: Pack) -> array<vec4<f32>, VECTORS> {
    let low = bitcast<vec4<f32>>(vec4<u32>(p));
    let high = bitcast<vec4<f32>>(vec4<u32>(p >> vec4<u32>(32u)));
    return array<vec4<f32>, VECTORS>(
        vec4<f32>(low.x, high.x, low.y, high.y),
        vec4<f32>(low.z, high.z, low.w, high.w),
    );
}

fn pack(values: array<vec4<f32>, VECTORS>) -> Pack {
    let a = bitcast<vec4<u32>>(values[0]);
    let b = bitcast<vec4<u32>>(values[1]);
    let low = vec4<u32>(a.x, a.z, b.x, b.z);
    let high = vec4<u32>(a.y, a.w, b.y, b.w);
    return vec4<u64>(low) | (vec4<u64>(high) << vec4<u32>(32u));
}
