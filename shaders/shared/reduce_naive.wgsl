// shared / reduce, naive
//   y[i] = finish(sum over part of partial[part, i]), added in order
//   partial [PARTS, COUNT]   y [COUNT]
//   An invocation computes one y; `finish` is the epilogue, in shared/finish_<what>_naive.wgsl.
// with: shared/linear, shared/finish_nothing_naive | finish_bias_naive | finish_dropout_naive | finish_producer_naive

const PARTS = 1u;

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    var sum = 0.0;
    for (var part = 0u; part < PARTS; part++) {
        sum += partial[part * COUNT + i];
    }
    y[i] = finish(i, sum);
}
