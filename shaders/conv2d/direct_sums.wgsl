// conv2d / direct_sums
//   The sums of the direct weight gradient, for a pack of filters (shared/pack.wgsl): of each weight, and of the bias. They
//   are kept in registers. `pixels` is in pixels.wgsl; `block_gradient` gives dy at the places of a block.
// with: conv2d/pixels, conv2d/gradient_each | gradient_pooled, shared/pack | pack_wide

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

    var d = block_gradient(np, q0, k);
    for (var t = 0u; t < PLACES; t++) {
        for (var e = 0u; e < VECTORS; e++) {
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
