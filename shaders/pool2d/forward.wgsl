// pool2d / forward
//   y[n,p,q,c] = the maximum, minimum, mean or L2 norm over r,s of x[n, p*stride+r, q*stride+s, c]
//   x [N,H,W,C]   y [N,P,Q,C];   C is a multiple of 4
//   An invocation computes four channels of one window.
// with: pool2d/kind, shared/linear, dropout/none | draw

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

const CHANNELS4 = CHANNELS / 4u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let c = i % CHANNELS4;
    let q = i / CHANNELS4 % OUT_WIDTH;
    let p = i / (CHANNELS4 * OUT_WIDTH) % OUT_HEIGHT;
    let n = i / (CHANNELS4 * OUT_WIDTH * OUT_HEIGHT);
    let corner = ((n * HEIGHT + p * STRIDE_H) * WIDTH + q * STRIDE_W) * CHANNELS4 + c;

    var best = x[corner];
    var sum = vec4<f32>(0.0);
    for (var r = 0u; r < KERNEL_H; r++) {
        for (var s = 0u; s < KERNEL_W; s++) {
            let value = x[corner + (r * WIDTH + s) * CHANNELS4];
            if KIND == AVERAGE {
                sum = sum + value;
            } else if KIND == L2 {
                sum = sum + value * value;
            } else {
                best = select(best, value, takes_over(value, best));
            }
        }
    }
    if KIND == AVERAGE {
        best = sum * SHARE;
    } else if KIND == L2 {
        best = sqrt(sum);
    }
    y[i] = drop_out(best, i);
}
