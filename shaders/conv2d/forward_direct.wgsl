// conv2d / forward_direct
//   y[n,p,q,k] = f(b[k] + sum over r,s,c of x[n, p*stride+r-pad, q*stride+s-pad, c] * w[r,s,c,k])
//   x [N,H,W,C]   w [R,S,C,K]   y [N,P,Q,K]
//   For few channels, as in a first layer: an invocation keeps the weights of four filters and walks along a row of
//   places, PLACES at a time. `pixels` is in pixels.wgsl, f is `activate` of the activation's file.

@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> b: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let k4 = i % FILTERS4;
    let np = i / FILTERS4;
    let n = np / OUT_HEIGHT;
    let top = np % OUT_HEIGHT * STRIDE_H - PAD_TOP;

    var weights: array<array<vec4<f32>, ROW_TAPS>, KERNEL_H>;
    for (var r = 0u; r < KERNEL_H; r++) {
        for (var sc = 0u; sc < ROW_TAPS; sc++) {
            weights[r][sc] = load_right((r * ROW_TAPS + sc) * FILTERS4 + k4);
        }
    }
    let bias = b[k4];
    for (var block = 0u; block < BLOCKS; block++) {
        let q0 = block * PLACES;
        var acc: array<vec4<f32>, PLACES>;
        for (var t = 0u; t < PLACES; t++) {
            acc[t] = bias;
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
            if q0 + t < OUT_WIDTH {
                y[(np * OUT_WIDTH + q0 + t) * FILTERS4 + k4] = activate(acc[t]);
            }
        }
    }
}
