// batch_norm / running
//   The running statistics after a batch whose mean and variance were taken over M rows of all ranks:
//   running_mean[c] <- (1 - MOMENTUM) running_mean[c] + MOMENTUM mean[c]
//   running_var[c]  <- (1 - MOMENTUM) running_var[c] + MOMENTUM var[c] M / (M - 1), without that quotient if M is 1
//   all [C];   an invocation updates a pack of channels
// with: batch_norm/rows, shared/linear, shared/pack | pack_single | pack_wide

const MOMENTUM = 0.1;

@group(0) @binding(0) var<storage, read> mean: array<Pack>;
@group(0) @binding(1) var<storage, read> variance: array<Pack>;
@group(0) @binding(2) var<storage, read_write> running_mean: array<Pack>;
@group(0) @binding(3) var<storage, read_write> running_var: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let c = linear_index(group, local);
    if c >= COUNT {
        return;
    }
    let m = f32(pooled());
    let unbiased = m / max(m - 1.0, 1.0);
    var middle = unpack(mean[c]);
    var spread = unpack(variance[c]);
    var kept_mean = unpack(running_mean[c]);
    var kept_var = unpack(running_var[c]);
    for (var e = 0u; e < VECTORS; e++) {
        kept_mean[e] = (1.0 - MOMENTUM) * kept_mean[e] + MOMENTUM * middle[e];
        kept_var[e] = (1.0 - MOMENTUM) * kept_var[e] + MOMENTUM * (unbiased * spread[e]);
    }
    running_mean[c] = pack(kept_mean);
    running_var[c] = pack(kept_var);
}
