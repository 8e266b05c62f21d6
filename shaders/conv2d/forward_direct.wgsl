// conv2d / forward_direct
//   y[n,p,q,k] = f(b[k] + sum over r,s,c of x[n, p*stride+r-pad, q*stride+s-pad, c] * w[r,s,c,k])
//   x [N,H,W,C]   w [R,S,C,K]   y [N,P,Q,K]
//   For few channels, as in a first layer: an invocation computes four neighbouring places of four filters.

const HEIGHT = 8u;
const WIDTH = 8u;
const CHANNELS = 1u;
const KERNEL_H = 3u;
const KERNEL_W = 3u;
const STRIDE_H = 1u;
const STRIDE_W = 1u;
const PAD_TOP = 0u;
const PAD_LEFT = 0u;
const OUT_HEIGHT = 6u;
const OUT_WIDTH = 6u;
const FILTERS4 = 1u;
const PADDED = false;

const PLACES = 4u;
const BLOCKS = (OUT_WIDTH + PLACES - 1u) / PLACES;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let k4 = i % FILTERS4;
    let q0 = i / FILTERS4 % BLOCKS * PLACES;
    let np = i / (FILTERS4 * BLOCKS);
    let n = np / OUT_HEIGHT;
    let top = np % OUT_HEIGHT * STRIDE_H - PAD_TOP;
    let left = q0 * STRIDE_W - PAD_LEFT;

    var acc: array<vec4<f32>, PLACES>;
    for (var t = 0u; t < PLACES; t++) {
        acc[t] = b[k4];
    }
    for (var r = 0u; r < KERNEL_H; r++) {
        let h = top + r;
        for (var s = 0u; s < KERNEL_W; s++) {
            for (var c = 0u; c < CHANNELS; c++) {
                let weight = w[((r * KERNEL_W + s) * CHANNELS + c) * FILTERS4 + k4];
                for (var t = 0u; t < PLACES; t++) {
                    let column = left + t * STRIDE_W + s;
                    let at = ((n * HEIGHT + h) * WIDTH + column) * CHANNELS + c;
                    if PADDED {
                        acc[t] += weight * select(0.0, x[at], h < HEIGHT && column < WIDTH);
                    } else {
                        acc[t] += weight * x[at];
                    }
                }
            }
        }
    }
    for (var t = 0u; t < PLACES; t++) {
        if q0 + t < OUT_WIDTH {
            y[(np * OUT_WIDTH + q0 + t) * FILTERS4 + k4] = activate(acc[t]);
        }
    }
}
