// pool2d / backward_extreme, naive
//   dx[n,h,w,c] = sum of f'(y) dy over the windows p,q whose position m is h,w
//   y, dy [N,P,Q,C]   m [N,P,Q,C] packed in words (kind.wgsl)   dx [N,H,W,C];   y is the element of x at m, so f'(y) is
//   f'(x). An invocation computes one dx and adds the windows in order.
// with: pool2d/kind, shared/linear, activation/identity | relu | sigmoid | tanh

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> m: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// y = KEPT times what is stored, if dropout followed and kept the element. If it did not, dy is 0.
const KEPT = 1f;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let c = i % CHANNELS;
    let w = i / CHANNELS % WIDTH;
    let h = i / (CHANNELS * WIDTH) % HEIGHT;
    let n = i / (CHANNELS * WIDTH * HEIGHT);

    var sum = 0.0;
    let p_end = min(h / STRIDE_H + 1u, OUT_HEIGHT);
    let q_end = min(w / STRIDE_W + 1u, OUT_WIDTH);
    for (var p = first_place(h, KERNEL_H, STRIDE_H); p < p_end; p++) {
        for (var q = first_place(w, KERNEL_W, STRIDE_W); q < q_end; q++) {
            let o = ((n * OUT_HEIGHT + p) * OUT_WIDTH + q) * CHANNELS + c;
            let first = extractBits(m[o / PER_WORD], o % PER_WORD * BITS, BITS);
            if first == (h - p * STRIDE_H) * KERNEL_W + w - q * STRIDE_W {
                sum += through_activation(vec4<f32>(dy[o]), vec4<f32>(KEPT * y[o])).x;
            }
        }
    }
    dx[i] = sum;
}
