// batch_norm / statistics_variance_reduce
//   Adds the parts and updates the running statistics:
//   var[c] = sum over s of partial[s,c] / M
//   running_mean[c] <- (1 - MOMENTUM) running_mean[c] + MOMENTUM mean[c]
//   running_var[c]  <- (1 - MOMENTUM) running_var[c] + MOMENTUM var[c] M / (M - 1), without that quotient if M is 1;
//   both stay as they are in a slice without images
//   partial [PARTS,C]   all others [C]
//   An invocation computes a pack of channels.
// with: batch_norm/rows, shared/linear, shared/pack | pack_single | pack_wide

const PARTS = 1u;
const MOMENTUM = 0.1;

@group(0) @binding(0) var<storage, read> partial: array<Pack>;
@group(0) @binding(1) var<storage, read> mean: array<Pack>;
// Not named `var`, which is a keyword of WGSL.
@group(0) @binding(2) var<storage, read_write> variance: array<Pack>;
@group(0) @binding(3) var<storage, read_write> running_mean: array<Pack>;
@group(0) @binding(4) var<storage, read_write> running_var: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let c = linear_index(group, local);
    if c >= COUNT {
        return;
    }
    var spread: array<vec4<f32>, VECTORS>;
    for (var s = 0u; s < PARTS; s++) {
        var values = unpack(partial[s * COLUMNS + c]);
        for (var e = 0u; e < VECTORS; e++) {
            spread[e] += values[e];
        }
    }
    let m = f32(max(counted(), 1u));
    // A slice without images leaves the running statistics as they are.
    let momentum = select(MOMENTUM, 0.0, counted() == 0u);
    let unbiased = m / max(m - 1.0, 1.0);
    var middle = unpack(mean[c]);
    var kept_mean = unpack(running_mean[c]);
    var kept_var = unpack(running_var[c]);
    for (var e = 0u; e < VECTORS; e++) {
        spread[e] /= m;
        kept_mean[e] = (1.0 - momentum) * kept_mean[e] + momentum * middle[e];
        kept_var[e] = (1.0 - momentum) * kept_var[e] + momentum * (unbiased * spread[e]);
    }
    variance[c] = pack(spread);
    running_mean[c] = pack(kept_mean);
    running_var[c] = pack(kept_var);
}
