// conv2d / backward_weight_direct
//   partial[part,r,s,c,k] = sum over the places (n,p,q) of the part of dy[n,p,q,k] * x[n, p*stride+r-pad, q*stride+s-pad, c]
//   x [N,H,W,C]   dy [N,P,Q,K]   partial [PARTS,R,S,C,K]
//   For few channels, as in a first layer: an invocation keeps the sums of all (r,s,c) for four filters and walks over
//   CHUNK places; matrix_reduce adds the parts.

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
const PLACES = 36u;
const CHUNK = 36u;

const TAPS = KERNEL_H * KERNEL_W * CHANNELS;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let k4 = i % FILTERS4;
    let part = i / FILTERS4;
    var acc: array<vec4<f32>, TAPS>;
    for (var place = part * CHUNK; place < min((part + 1u) * CHUNK, PLACES); place++) {
        let d = dy[place * FILTERS4 + k4];
        let top = place / OUT_WIDTH % OUT_HEIGHT * STRIDE_H - PAD_TOP;
        let left = place % OUT_WIDTH * STRIDE_W - PAD_LEFT;
        let corner = ((place / (OUT_WIDTH * OUT_HEIGHT) * HEIGHT + top) * WIDTH + left) * CHANNELS;
        for (var tap = 0u; tap < TAPS; tap++) {
            let r = tap / (KERNEL_W * CHANNELS);
            let s = tap / CHANNELS % KERNEL_W;
            let at = corner + (r * WIDTH + s) * CHANNELS + tap % CHANNELS;
            if PADDED {
                acc[tap] += d * select(0.0, x[at], top + r < HEIGHT && left + s < WIDTH);
            } else {
                acc[tap] += d * x[at];
            }
        }
    }
    for (var tap = 0u; tap < TAPS; tap++) {
        partial[(part * TAPS + tap) * FILTERS4 + k4] = acc[tap];
    }
}
