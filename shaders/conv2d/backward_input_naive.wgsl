// conv2d / backward_input, naive
//   dx[n,h,w,c] = f'(x) * sum over r,s,k of dy[n,p,q,k] * w[r,s,c,k],
//   where p*stride+r-pad = h and q*stride+s-pad = w: for each tap r,s there is one place p,q or none
//   dy [N,P,Q,K]   w [R,S,C,K]   dx [N,H,W,C]
//   An invocation computes one dx, summed over all R*S taps of the window, or over ROWS of them if the sum is split: dx
//   is then [part,N,H,W,C], and shared/reduce_naive.wgsl adds the parts. `finish` multiplies by f'(x).
// with: shared/linear, shared/window, shared/finish_nothing_naive | finish_dropout_naive | finish_producer_naive

const FILTERS = 1u;
const ROWS = 1u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let c = i % CHANNELS;
    let column = i / CHANNELS % WIDTH;
    let row = i / (CHANNELS * WIDTH) % HEIGHT;
    let n = i / (CHANNELS * WIDTH * HEIGHT) % BATCH;
    let part = i / (CHANNELS * WIDTH * HEIGHT * BATCH);

    var sum = 0.0;
    for (var rs = part * ROWS; rs < min((part + 1u) * ROWS, KERNEL_H * KERNEL_W); rs++) {
        // p*stride and q*stride; negative values wrap, so that p or q is past the last place.
        let down = row + PAD_TOP - rs / KERNEL_W;
        let right = column + PAD_LEFT - rs % KERNEL_W;
        let p = down / STRIDE_H;
        let q = right / STRIDE_W;
        if down % STRIDE_H == 0u && right % STRIDE_W == 0u && p < OUT_HEIGHT && q < OUT_WIDTH {
            for (var k = 0u; k < FILTERS; k++) {
                sum += dy[((n * OUT_HEIGHT + p) * OUT_WIDTH + q) * FILTERS + k] * w[(rs * CHANNELS + c) * FILTERS + k];
            }
        }
    }
    dx[i] = finish(i, sum);
}
