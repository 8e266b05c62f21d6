// pool2d / forward_extreme, naive
//   y[n,p,q,c] = the maximum or minimum over r,s of x[n, p*stride+r, q*stride+s, c]
//   m[n,p,q,c] = r*S + s, its position in the window, the first of several
//   x [N,H,W,C]   y [N,P,Q,C]   m [N,P,Q,C] packed in words (kind.wgsl)
//   An invocation computes one word of m and the corresponding y.
// with: pool2d/kind, shared/linear, dropout/none | draw

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> m: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    var word = 0u;
    for (var e = 0u; e < PER_WORD; e++) {
        let o = i * PER_WORD + e;
        if o < BATCH * OUT_HEIGHT * OUT_WIDTH * CHANNELS {
            let place = first_extreme(o);
            y[o] = drop_out(vec4<f32>(x[at(o, place)]), o / 4u)[o % 4u];
            word |= place << (e * BITS);
        }
    }
    m[i] = word;
}

// The position of the first extreme in the window of y[o].
fn first_extreme(o: u32) -> u32 {
    var first = 0u;
    for (var rs = 1u; rs < KERNEL_H * KERNEL_W; rs++) {
        let value = x[at(o, rs)];
        let best = x[at(o, first)];
        if (KIND == MAX && value > best) || (KIND == MIN && value < best) {
            first = rs;
        }
    }
    return first;
}

// The index in x of position `rs` in the window of y[o].
fn at(o: u32, rs: u32) -> u32 {
    let c = o % CHANNELS;
    let w = o / CHANNELS % OUT_WIDTH * STRIDE_W + rs % KERNEL_W;
    let h = o / (CHANNELS * OUT_WIDTH) % OUT_HEIGHT * STRIDE_H + rs / KERNEL_W;
    let n = o / (CHANNELS * OUT_WIDTH * OUT_HEIGHT);
    return ((n * HEIGHT + h) * WIDTH + w) * CHANNELS + c;
}
