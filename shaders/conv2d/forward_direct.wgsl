// conv2d / forward_direct
//   y[n,p,q,k] = f(b[k] + sum over r,s,c of x[n, p*stride+r-pad, q*stride+s-pad, c] * w[r,s,c,k])
//   x [N,H,W,C]   w [R,S,C,K]   y [N,P,Q,K]
//   For few channels, as in a first layer: an invocation keeps the weights of a pack of filters (shared/pack.wgsl) in
//   registers and goes through a row of places, PLACES at a time. `pixels` is in pixels.wgsl; f is `activate` of the
//   activation's file.
// with: conv2d/pixels, shared/linear, shared/right_buffer | right_texture, shared/pack | pack_wide
// with: activation/identity | relu | sigmoid | tanh, dropout/none | draw

@group(0) @binding(2) var<storage, read_write> y: array<Pack>;
@group(0) @binding(3) var<storage, read> b: array<Pack>;

const PACKS = FILTERS4 / VECTORS;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let k = i % PACKS;
    let np = i / PACKS;
    let n = np / OUT_HEIGHT;
    let top = np % OUT_HEIGHT * STRIDE_H - PAD_TOP;

    var weights: array<array<array<vec4<f32>, VECTORS>, ROW_TAPS>, KERNEL_H>;
    for (var r = 0u; r < KERNEL_H; r++) {
        for (var sc = 0u; sc < ROW_TAPS; sc++) {
            for (var e = 0u; e < VECTORS; e++) {
                weights[r][sc][e] = load_right((r * ROW_TAPS + sc) * FILTERS4 + k * VECTORS + e);
            }
        }
    }
    let bias = unpack(b[k]);
    for (var block = 0u; block < BLOCKS; block++) {
        let q0 = block * PLACES;
        var acc: array<array<vec4<f32>, VECTORS>, PLACES>;
        for (var t = 0u; t < PLACES; t++) {
            acc[t] = bias;
        }
        for (var r = 0u; r < KERNEL_H; r++) {
            var row = pixels(n, top + r, q0);
            for (var sc = 0u; sc < ROW_TAPS; sc++) {
                for (var t = 0u; t < PLACES; t++) {
                    let pixel = row[t * STRIDE_W * CHANNELS + sc];
                    for (var e = 0u; e < VECTORS; e++) {
                        acc[t][e] += pixel * weights[r][sc][e];
                    }
                }
            }
        }
        for (var t = 0u; t < PLACES; t++) {
            if q0 + t < OUT_WIDTH {
                let at = (np * OUT_WIDTH + q0 + t) * PACKS + k;
                for (var e = 0u; e < VECTORS; e++) {
                    acc[t][e] = drop_out(activate(acc[t][e]), at * VECTORS + e);
                }
                y[at] = pack(acc[t]);
            }
        }
    }
}
