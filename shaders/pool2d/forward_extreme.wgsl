// pool2d / forward_extreme
//   y[n,p,q,c] = the largest or the smallest, over r,s, of x[n, p*stride+r, q*stride+s, c]
//   m[n,p,q,c] = r*S + s, the first place of the window where it lies
//   x [N,H,W,C]   y [N,P,Q,C]   m the same, in words (kind.wgsl)   C a multiple of 4
//   an invocation computes four channels of one place

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> m: array<u32>;

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
    var first = vec4<u32>(0u);
    for (var rs = 1u; rs < KERNEL_H * KERNEL_W; rs++) {
        let value = x[corner + (rs / KERNEL_W * WIDTH + rs % KERNEL_W) * CHANNELS4];
        let better = takes_over(value, best);
        best = select(best, value, better);
        first = select(first, vec4<u32>(rs), better);
    }
    y[i] = best;
    if PER_WORD == 4u {
        m[i] = dot(first, vec4<u32>(0x1u, 0x100u, 0x10000u, 0x1000000u));
    } else {
        for (var e = 0u; e < 4u; e++) {
            m[4u * i + e] = first[e];
        }
    }
}
