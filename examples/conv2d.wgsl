// A convolution, as an example of a user-defined shader:
//   y[n,p,q,k] = b[k] + sum over r,s,c of x[n, p*stride+r-pad, q*stride+s-pad, c] * w[r,s,c,k]
//   x [N,H,W,C]   w [R,S,C,K]   b [K]   y [N,P,Q,K]; outside the image x is zero
//   one invocation computes one element of y

const HEIGHT = 5u;
const WIDTH = 5u;
const CHANNELS = 1u;
const KERNEL_H = 3u;
const KERNEL_W = 3u;
const STRIDE_H = 1u;
const STRIDE_W = 1u;
const PAD_TOP = 0u;
const PAD_LEFT = 0u;
const OUT_HEIGHT = 3u;
const OUT_WIDTH = 3u;
const FILTERS = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const COUNT = 1u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= COUNT {
        return;
    }
    let k = i % FILTERS;
    let q = i / FILTERS % OUT_WIDTH;
    let p = i / (FILTERS * OUT_WIDTH) % OUT_HEIGHT;
    let n = i / (FILTERS * OUT_WIDTH * OUT_HEIGHT);

    var sum = b[k];
    for (var r = 0u; r < KERNEL_H; r++) {
        for (var s = 0u; s < KERNEL_W; s++) {
            // Above and to the left of the image these wrap around to huge numbers.
            let row = p * STRIDE_H + r - PAD_TOP;
            let column = q * STRIDE_W + s - PAD_LEFT;
            if row < HEIGHT && column < WIDTH {
                for (var c = 0u; c < CHANNELS; c++) {
                    let at = ((n * HEIGHT + row) * WIDTH + column) * CHANNELS + c;
                    sum += x[at] * w[((r * KERNEL_W + s) * CHANNELS + c) * FILTERS + k];
                }
            }
        }
    }
    y[i] = sum;
}
