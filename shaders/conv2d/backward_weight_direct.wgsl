// conv2d / backward_weight_direct
//   partial[part,t,k] = sum over the places (n,p,q) of the part of
//     dy[n,p,q,k] * x[n, p*stride+r-pad, q*stride+s-pad, c]   for t = (r,s,c)
//     dy[n,p,q,k]                                             for t = R*S*C, the gradient of b
//   x [N,H,W,C]   dy [N,P,Q,K]   partial [PARTS, R*S*C + 1, K]
//   For few channels, as in a first layer: an invocation keeps the sums of a pack of filters (shared/pack.wgsl) in
//   registers and goes through CHUNK blocks of PLACES places. `pixels` is in pixels.wgsl; shared/weight_reduce or
//   shared/matrix_reduce_tree adds the parts.
// with: conv2d/pixels, shared/linear, shared/pack | pack_wide

const CHUNK = 2u;

const ALL_BLOCKS = BATCH * OUT_HEIGHT * BLOCKS;

@group(0) @binding(1) var<storage, read> dy: array<Pack>;
@group(0) @binding(2) var<storage, read_write> partial: array<Pack>;

const PACKS = FILTERS4 / VECTORS;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let k = i % PACKS;
    let part = i / PACKS;

    var acc: array<array<array<vec4<f32>, VECTORS>, ROW_TAPS>, KERNEL_H>;
    var bias: array<vec4<f32>, VECTORS>;
    for (var block = part * CHUNK; block < min((part + 1u) * CHUNK, ALL_BLOCKS); block++) {
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
                bias[e] += d[t][e];
            }
        }
        for (var r = 0u; r < KERNEL_H; r++) {
            var row = pixels(n, top + r, q0);
            for (var sc = 0u; sc < ROW_TAPS; sc++) {
                for (var t = 0u; t < PLACES; t++) {
                    let pixel = row[t * STRIDE_W * CHANNELS + sc];
                    for (var e = 0u; e < VECTORS; e++) {
                        acc[r][sc][e] += pixel * d[t][e];
                    }
                }
            }
        }
    }

    let first = part * (KERNEL_H * ROW_TAPS + 1u);
    for (var r = 0u; r < KERNEL_H; r++) {
        for (var sc = 0u; sc < ROW_TAPS; sc++) {
            partial[(first + r * ROW_TAPS + sc) * PACKS + k] = pack(acc[r][sc]);
        }
    }
    partial[(first + KERNEL_H * ROW_TAPS) * PACKS + k] = pack(bias);
}
