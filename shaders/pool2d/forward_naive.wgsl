// pool2d / forward_naive
//   y[n,p,q,c] = the maximum, minimum, mean or L2 norm over r,s of x[n, p*stride+r, q*stride+s, c]
//   x [N,H,W,C]   y [N,P,Q,C]
//   An invocation computes one y.
// with: pool2d/kind, shared/linear, dropout/none | draw

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let c = i % CHANNELS;
    let q = i / CHANNELS % OUT_WIDTH;
    let p = i / (CHANNELS * OUT_WIDTH) % OUT_HEIGHT;
    let n = i / (CHANNELS * OUT_WIDTH * OUT_HEIGHT);

    var largest = x[at(n, p * STRIDE_H, q * STRIDE_W, c)];
    var smallest = largest;
    var sum = 0.0;
    var squares = 0.0;
    for (var r = 0u; r < KERNEL_H; r++) {
        for (var s = 0u; s < KERNEL_W; s++) {
            let value = x[at(n, p * STRIDE_H + r, q * STRIDE_W + s, c)];
            if value > largest {
                largest = value;
            }
            if value < smallest {
                smallest = value;
            }
            sum = sum + value;
            squares = squares + value * value;
        }
    }
    var value = largest;
    switch KIND {
        case MIN: { value = smallest; }
        case AVERAGE: { value = sum * SHARE; }
        case L2: { value = sqrt(squares); }
        default: {}
    }
    y[i] = drop_out(vec4<f32>(value), i / 4u)[i % 4u];
}

fn at(n: u32, h: u32, w: u32, c: u32) -> u32 {
    return ((n * HEIGHT + h) * WIDTH + w) * CHANNELS + c;
}
