// shared / matrix_reduce_tree
//   sum[i] = sum over s of partial[s,i],   i counts the SUMS vec4 of a part, s < PARTS
//   The counterpart of matrix_reduce and weight_reduce for GPUs, where one invocation for each sum is too few: LANES
//   invocations share a sum. Each adds every LANES-th part, in order; then their sums are added in pairs in workgroup
//   memory. The order of the additions depends on constants alone, so that results are reproducible to the bit.
//   `store_sum` stores a sum.
// with: shared/linear, shared/reduced_product | reduced_weights

const PARTS = 16u;
const LANES = 2u;
const SUMS = 64u;

@group(0) @binding(0) var<storage, read> partial: array<vec4<f32>>;

const INVOCATIONS = 256u;
// Number of sums of a workgroup. Adjacent invocations read adjacent vec4 of a part.
const WIDTH = INVOCATIONS / LANES;

var<workgroup> sums: array<vec4<f32>, INVOCATIONS>;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = local / WIDTH;
    let i = linear_group(group) * WIDTH + local % WIDTH;
    var sum = vec4<f32>(0.0);
    for (var part = lane; part < PARTS; part += LANES) {
        sum += partial[part * SUMS + min(i, SUMS - 1u)];
    }
    sums[local] = sum;
    for (var others = LANES / 2u; others > 0u; others /= 2u) {
        workgroupBarrier();
        if lane < others {
            sum += sums[local + others * WIDTH];
            sums[local] = sum;
        }
    }
    if lane == 0u && i < SUMS {
        store_sum(i, sum);
    }
}
