// conv2d / backward_weight_direct_shared
//   The counterpart of backward_weight_direct for GPUs, which need more invocations than there should be parts: LANES
//   invocations sum CHUNK blocks of places each for a pack of filters, and their sums are added in workgroup memory, in a
//   fixed order. A workgroup computes one part for all filters; shared/matrix_reduce_tree adds the parts.
// with: conv2d/direct_sums, conv2d/gradient_each | gradient_pooled, conv2d/pixels, shared/linear, shared/pack

const CHUNK = 2u;

@group(0) @binding(2) var<storage, read_write> partial: array<vec4<f32>>;

const INVOCATIONS = 64u;
const LANES = INVOCATIONS / FILTERS4;

var<workgroup> shares: array<vec4<f32>, INVOCATIONS>; // [lane][pack of filters]

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let part = linear_group(group);
    let k = local % FILTERS4;
    let lane = local / FILTERS4;

    var sums: Sums;
    if lane < LANES {
        let first = (part * LANES + lane) * CHUNK;
        for (var block = first; block < min(first + CHUNK, ALL_BLOCKS); block++) {
            add_block(&sums, block, k);
        }
    }

    let first = part * (KERNEL_H * ROW_TAPS + 1u);
    for (var r = 0u; r < KERNEL_H; r++) {
        for (var sc = 0u; sc < ROW_TAPS; sc++) {
            store_sum(first + r * ROW_TAPS + sc, part, local, sums.weights[r][sc][0]);
        }
    }
    store_sum(first + KERNEL_H * ROW_TAPS, part, local, sums.bias[0]);
}

// Stores the sum over the lanes in a row of `partial`.
fn store_sum(row: u32, part: u32, local: u32, share: vec4<f32>) {
    shares[local] = share;
    workgroupBarrier();
    if local < FILTERS4 && part < PARTS {
        var sum = share;
        for (var lane = 1u; lane < LANES; lane++) {
            sum += shares[lane * FILTERS4 + local];
        }
        partial[row * FILTERS4 + local] = sum;
    }
    workgroupBarrier();
}

const PARTS = 1u;
