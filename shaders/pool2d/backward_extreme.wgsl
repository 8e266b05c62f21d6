// pool2d / backward_extreme
//   dx[n,h,w,c] = f'(y) dy if h,w is position m of the only window that covers it, otherwise 0
//   y, dy [N,P,Q,C]   m [N,P,Q,C] packed in words (kind.wgsl)   dx [N,H,W,C];   stride >= kernel, so that windows do
//   not overlap. y is the element of x at m, so f'(y) is f'(x).
//   The image is divided into cells of stride by stride pixels, each with a window in its top left corner; the last
//   cells may be smaller and have no window. An invocation computes a pack of channels of a cell, so that every dx is
//   written once. C is a multiple of the size of a pack (shared/pack.wgsl).
// with: pool2d/kind, shared/linear, shared/pack | pack_wide, activation/identity | relu | sigmoid | tanh

@group(0) @binding(0) var<storage, read> y: array<Pack>;
@group(0) @binding(1) var<storage, read> m: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<Pack>;
@group(0) @binding(3) var<storage, read_write> dx: array<Pack>;

// y = KEPT times what is stored, if dropout followed and kept the element. If it did not, dy is 0.
const KEPT = 1f;

const PACKS = CHANNELS / (4u * VECTORS);
const CELL_ROWS = (HEIGHT + STRIDE_H - 1u) / STRIDE_H;
const CELL_COLUMNS = (WIDTH + STRIDE_W - 1u) / STRIDE_W;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let c = i % PACKS;
    let q = i / PACKS % CELL_COLUMNS;
    let p = i / (PACKS * CELL_COLUMNS) % CELL_ROWS;
    let n = i / (PACKS * CELL_COLUMNS * CELL_ROWS);
    let corner = ((n * HEIGHT + p * STRIDE_H) * WIDTH + q * STRIDE_W) * PACKS + c;

    // In a cell without a window these remain zero, and so does dx.
    var gradient: array<vec4<f32>, VECTORS>;
    var first: array<vec4<u32>, VECTORS>;
    if p < OUT_HEIGHT && q < OUT_WIDTH {
        let place = ((n * OUT_HEIGHT + p) * OUT_WIDTH + q) * PACKS + c;
        var arrived = unpack(dy[place]);
        var best = unpack(y[place]);
        for (var e = 0u; e < VECTORS; e++) {
            gradient[e] = through_activation(arrived[e], KEPT * best[e]);
            first[e] = places(place * VECTORS + e);
        }
    }
    for (var r = 0u; r < STRIDE_H; r++) {
        for (var s = 0u; s < STRIDE_W; s++) {
            if p * STRIDE_H + r < HEIGHT && q * STRIDE_W + s < WIDTH {
                var d: array<vec4<f32>, VECTORS>;
                if r < KERNEL_H && s < KERNEL_W {
                    for (var e = 0u; e < VECTORS; e++) {
                        d[e] = select(d[e], gradient[e], first[e] == vec4<u32>(r * KERNEL_W + s));
                    }
                }
                dx[corner + (r * WIDTH + s) * PACKS] = pack(d);
            }
        }
    }
}

// The positions m of elements 4i to 4i + 3.
fn places(i: u32) -> vec4<u32> {
    if PER_WORD == 4u {
        return (vec4<u32>(m[i]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
    }
    return vec4<u32>(m[4u * i], m[4u * i + 1u], m[4u * i + 2u], m[4u * i + 3u]);
}
