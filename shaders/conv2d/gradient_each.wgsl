// conv2d / gradient_each
//   dy at the PLACES places of a block, from memory; zero past the end of a row.
// with: shared/pack | pack_wide

@group(0) @binding(1) var<storage, read> dy: array<Pack>;

fn block_gradient(np: u32, q0: u32, k: u32) -> array<array<vec4<f32>, VECTORS>, PLACES> {
    var d: array<array<vec4<f32>, VECTORS>, PLACES>;
    for (var t = 0u; t < PLACES; t++) {
        var loaded = unpack(dy[(np * OUT_WIDTH + q0 + t) * PACKS + k]);
        let there = OUT_WIDTH % PLACES == 0u || q0 + t < OUT_WIDTH;
        for (var e = 0u; e < VECTORS; e++) {
            d[t][e] = select(vec4<f32>(0.0), loaded[e], there);
        }
    }
    return d;
}
