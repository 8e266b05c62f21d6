// pool2d / forward_extreme
//   y[n,p,q,c] = the maximum or minimum over r,s of x[n, p*stride+r, q*stride+s, c]
//   m[n,p,q,c] = r*S + s, its position in the window, the first of several
//   x [N,H,W,C]   y [N,P,Q,C]   m [N,P,Q,C] packed in words (kind.wgsl)
//   An invocation computes a pack of channels of one window. C is a multiple of the size of a pack (shared/pack.wgsl).
// with: pool2d/kind, shared/linear, shared/pack | pack_wide, dropout/none | draw

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read_write> y: array<Pack>;
@group(0) @binding(2) var<storage, read_write> m: array<u32>;

const PACKS = CHANNELS / (4u * VECTORS);

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let c = i % PACKS;
    let q = i / PACKS % OUT_WIDTH;
    let p = i / (PACKS * OUT_WIDTH) % OUT_HEIGHT;
    let n = i / (PACKS * OUT_WIDTH * OUT_HEIGHT);
    let corner = ((n * HEIGHT + p * STRIDE_H) * WIDTH + q * STRIDE_W) * PACKS + c;

    var best = unpack(x[corner]);
    var first: array<vec4<u32>, VECTORS>;
    for (var rs = 1u; rs < KERNEL_H * KERNEL_W; rs++) {
        var values = unpack(x[corner + (rs / KERNEL_W * WIDTH + rs % KERNEL_W) * PACKS]);
        for (var e = 0u; e < VECTORS; e++) {
            let better = takes_over(values[e], best[e]);
            best[e] = select(best[e], values[e], better);
            first[e] = select(first[e], vec4<u32>(rs), better);
        }
    }
    for (var e = 0u; e < VECTORS; e++) {
        best[e] = drop_out(best[e], i * VECTORS + e);
        store_places(i * VECTORS + e, first[e]);
    }
    y[i] = pack(best);
}

// The positions m of elements 4i to 4i + 3.
fn store_places(i: u32, places: vec4<u32>) {
    if PER_WORD == 4u {
        m[i] = dot(places, vec4<u32>(0x1u, 0x100u, 0x10000u, 0x1000000u));
    } else {
        m[4u * i] = places.x;
        m[4u * i + 1u] = places.y;
        m[4u * i + 2u] = places.z;
        m[4u * i + 3u] = places.w;
    }
}
