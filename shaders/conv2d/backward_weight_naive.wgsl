// conv2d / backward_weight, naive
//   dw[r,s,c,k] = sum over n,p,q of dy[n,p,q,k] * x[n, p*stride+r-pad, q*stride+s-pad, c]
//   x [N,H,W,C]   dy [N,P,Q,K]   dw [R,S,C,K]; outside the image x is zero
//   An invocation computes one dw, summed over all N*P rows of places, or over ROWS of them if the sum is split: dw is
//   then [part,R,S,C,K], and shared/reduce_naive.wgsl adds the parts.
// with: shared/linear, shared/window, shared/finish_nothing_naive

const FILTERS = 1u;
const ROWS = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let k = i % FILTERS;
    let c = i / FILTERS % CHANNELS;
    let s = i / (FILTERS * CHANNELS) % KERNEL_W;
    let r = i / (FILTERS * CHANNELS * KERNEL_W) % KERNEL_H;
    let part = i / (FILTERS * CHANNELS * KERNEL_W * KERNEL_H);

    var sum = 0.0;
    for (var np = part * ROWS; np < min((part + 1u) * ROWS, BATCH * OUT_HEIGHT); np++) {
        let n = np / OUT_HEIGHT;
        let p = np % OUT_HEIGHT;
        // Above and left of the image, these wrap to huge numbers, so that a single comparison checks both bounds.
        let row = p * STRIDE_H + r - PAD_TOP;
        if row < HEIGHT {
            for (var q = 0u; q < OUT_WIDTH; q++) {
                let column = q * STRIDE_W + s - PAD_LEFT;
                if column < WIDTH {
                    sum += dy[(np * OUT_WIDTH + q) * FILTERS + k] * x[((n * HEIGHT + row) * WIDTH + column) * CHANNELS + c];
                }
            }
        }
    }
    dw[i] = finish(i, sum);
}
