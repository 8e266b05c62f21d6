// conv2d / forward_direct_pooled
//   y[n,p,q,k] = the maximum or minimum over u,v < 2 of z[n, 2p+u, 2q+v, k], after dropout if there is one
//   m[n,p,q,k] = 2u + v, its position in the window, the first of several
//   z[n,p,q,k] = f(b[k] + sum over r,s,c of x[n, p*stride+r-pad, q*stride+s-pad, c] * w[r,s,c,k]), which is not stored
//   x [N,H,W,C]   w [R,S,C,K]   y [N,P/2,Q/2,K]   m as y, four in a word
//   For few channels, on GPUs: an invocation computes four filters of PLACES/2 adjacent windows. `pixels` is in
//   pixels.wgsl, `takes_over` in pool2d/kind.wgsl; f is `activate` of the activation's file.
// with: conv2d/pixels, pool2d/kind, shared/linear, shared/right_buffer | right_texture
// with: activation/identity | relu | sigmoid | tanh, dropout/none | draw

@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> m: array<u32>;

const POOLED_HEIGHT = OUT_HEIGHT / 2u;
const POOLED_WIDTH = OUT_WIDTH / 2u;
const WINDOWS = PLACES / 2u;
const POOLED_BLOCKS = (POOLED_WIDTH + WINDOWS - 1u) / WINDOWS;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let k = i % FILTERS4;
    let block = i / FILTERS4 % POOLED_BLOCKS;
    let np = i / (FILTERS4 * POOLED_BLOCKS);
    let n = np / POOLED_HEIGHT;
    let p = np % POOLED_HEIGHT * 2u;
    let q0 = block * PLACES;

    var weights: array<array<vec4<f32>, ROW_TAPS>, KERNEL_H>;
    for (var r = 0u; r < KERNEL_H; r++) {
        for (var sc = 0u; sc < ROW_TAPS; sc++) {
            weights[r][sc] = load_right((r * ROW_TAPS + sc) * FILTERS4 + k);
        }
    }
    var best: array<vec4<f32>, WINDOWS>;
    var first: array<vec4<u32>, WINDOWS>;
    for (var u = 0u; u < 2u; u++) {
        let top = (p + u) * STRIDE_H - PAD_TOP;
        var acc: array<vec4<f32>, PLACES>;
        for (var t = 0u; t < PLACES; t++) {
            acc[t] = b[k];
        }
        for (var r = 0u; r < KERNEL_H; r++) {
            var row = pixels(n, top + r, q0);
            for (var sc = 0u; sc < ROW_TAPS; sc++) {
                for (var t = 0u; t < PLACES; t++) {
                    acc[t] += row[t * STRIDE_W * CHANNELS + sc] * weights[r][sc];
                }
            }
        }
        for (var t = 0u; t < PLACES; t++) {
            let value = activate(acc[t]);
            let place = 2u * u + t % 2u;
            let better = takes_over(value, best[t / 2u]) | vec4<bool>(place == 0u);
            best[t / 2u] = select(best[t / 2u], value, better);
            first[t / 2u] = select(first[t / 2u], vec4<u32>(place), better);
        }
    }
    for (var window = 0u; window < WINDOWS; window++) {
        let q = block * WINDOWS + window;
        if q < POOLED_WIDTH {
            let at = (np * POOLED_WIDTH + q) * FILTERS4 + k;
            y[at] = drop_out(best[window], at);
            m[at] = dot(first[window], vec4<u32>(0x1u, 0x100u, 0x10000u, 0x1000000u));
        }
    }
}
