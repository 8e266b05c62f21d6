// conv2d / backward_bias, naive
//   db[k] = sum over n,p,q of dy[n,p,q,k]
//   dy [N,P,Q,K]   db [K]
//   An invocation computes one db, summed over all N*P*Q places, or over ROWS of them if the sum is split: db is then
//   [part,K], and shared/reduce_naive.wgsl adds the parts.
// with: shared/linear, shared/finish_nothing_naive

const FILTERS = 1u;
const PLACES = 1u;
const ROWS = 1u;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> db: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let k = i % FILTERS;
    let part = i / FILTERS;

    var sum = 0.0;
    for (var npq = part * ROWS; npq < min((part + 1u) * ROWS, PLACES); npq++) {
        sum += dy[npq * FILTERS + k];
    }
    db[i] = finish(i, sum);
}
