// conv2d / forward, naive
//   y[n,p,q,k] = f(b[k] + sum over r,s,c of x[n, p*stride+r-pad, q*stride+s-pad, c] * w[r,s,c,k])
//   x [N,H,W,C]   w [R,S,C,K]   y [N,P,Q,K]; outside the image x is zero
//   An invocation computes one y, summed over all R*S taps of the window, or over ROWS of them if the sum is split: y
//   is then [part,N,P,Q,K], and shared/reduce_naive.wgsl adds the parts. `finish` adds b and applies f.
// with: shared/linear, shared/window, shared/finish_nothing_naive | finish_bias_naive

const FILTERS = 1u;
const ROWS = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let k = i % FILTERS;
    let q = i / FILTERS % OUT_WIDTH;
    let p = i / (FILTERS * OUT_WIDTH) % OUT_HEIGHT;
    let n = i / (FILTERS * OUT_WIDTH * OUT_HEIGHT) % BATCH;
    let part = i / (FILTERS * OUT_WIDTH * OUT_HEIGHT * BATCH);

    var sum = 0.0;
    for (var rs = part * ROWS; rs < min((part + 1u) * ROWS, KERNEL_H * KERNEL_W); rs++) {
        // Above and left of the image, these wrap to huge numbers, so that a single comparison checks both bounds.
        let row = p * STRIDE_H + rs / KERNEL_W - PAD_TOP;
        let column = q * STRIDE_W + rs % KERNEL_W - PAD_LEFT;
        if row < HEIGHT && column < WIDTH {
            for (var c = 0u; c < CHANNELS; c++) {
                sum += x[((n * HEIGHT + row) * WIDTH + column) * CHANNELS + c] * w[(rs * CHANNELS + c) * FILTERS + k];
            }
        }
    }
    y[i] = finish(i, sum);
}
