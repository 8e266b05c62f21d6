// conv2d / direct_sums
//   The sums of the direct weight gradient, for a pack of filters (shared/pack.wgsl): of each weight, and of the bias. They
//   are kept in registers. `pixels` is in pixels.wgsl.
// with: conv2d/pixels, shared/pack | pack_wide

@group(0) @binding(1) var<storage, read> dy: array<Pack>;

const PACKS = FILTERS4 / VECTORS;
const ALL_BLOCKS = BATCH * OUT_HEIGHT * BLOCKS;

struct Sums {
    weights: array<array<array<vec4<f32>, VECTORS>, ROW_TAPS>, KERNEL_H>,
    bias: array<vec4<f32>, VECTORS>,
}

// Adds a block of PLACES places.
fn add_block(sums: ptr<function, Sums>, block: u32, k: u32) {
    let q0 = block % BLOCKS * PLACES;
    let np = block / BLOCKS;
    let n = np / OUT_HEIGHT;
    let top = np % OUT_HEIGHT * STRIDE_H - PAD_TOP;

    var d: array<array<vec4<f32>, VECTORS>, PLACES>;
    for (var t = 0u; t < PLACES; t++) {
        var loaded = unpack(dy[(np * OUT_WIDTH + q0 + t) * PACKS + k]);
        let there = OUT_WIDTH % PLACES == 0u || q0 + t < OUT_WIDTH;
        for (var e = 0u; e < VECTORS; e++) {
            d[t][e] = select(vec4<f32>(0.0), loaded[e], there);
            (*sums).bias[e] += d[t][e];
        }
    }
    for (var r = 0u; r < KERNEL_H; r++) {
        var row = pixels(n, top + r, q0);
        for (var sc = 0u; sc < ROW_TAPS; sc++) {
            for (var t = 0u; t < PLACES; t++) {
                let pixel = row[t * STRIDE_W * CHANNELS + sc];
                for (var e = 0u; e < VECTORS; e++) {
                    (*sums).weights[r][sc][e] += pixel * d[t][e];
                }
            }
        }
    }
}
