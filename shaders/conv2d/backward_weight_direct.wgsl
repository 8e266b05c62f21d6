// conv2d / backward_weight_direct
//   partial[part,t,k] = sum over the places (n,p,q) of the part of
//     dy[n,p,q,k] * x[n, p*stride+r-pad, q*stride+s-pad, c]   for t = (r,s,c)
//     dy[n,p,q,k]                                             for t = R*S*C, the gradient of b
//   x [N,H,W,C]   dy [N,P,Q,K]   partial [PARTS, R*S*C + 1, K]
//   For few channels, as in a first layer: an invocation sums CHUNK blocks of places for a pack of filters;
//   shared/weight_reduce adds the parts.
// with: conv2d/direct_sums, conv2d/gradient_each, conv2d/pixels, shared/linear, shared/pack | pack_wide

const CHUNK = 2u;

@group(0) @binding(2) var<storage, read_write> partial: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let k = i % PACKS;
    let part = i / PACKS;

    var sums: Sums;
    for (var block = part * CHUNK; block < min((part + 1u) * CHUNK, ALL_BLOCKS); block++) {
        add_block(&sums, block, k);
    }

    let first = part * (KERNEL_H * ROW_TAPS + 1u);
    for (var r = 0u; r < KERNEL_H; r++) {
        for (var sc = 0u; sc < ROW_TAPS; sc++) {
            partial[(first + r * ROW_TAPS + sc) * PACKS + k] = pack(sums.weights[r][sc]);
        }
    }
    partial[(first + KERNEL_H * ROW_TAPS) * PACKS + k] = pack(sums.bias);
}
