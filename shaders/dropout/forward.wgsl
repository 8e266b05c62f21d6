// dropout / forward
//   y[i] = 0 if element i is dropped, otherwise x[i] / (1 - rate)
//   An invocation computes a pack (shared/pack.wgsl); `drop_out` is in draw.wgsl.
// with: dropout/draw, shared/linear, shared/pack | pack_wide

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read_write> y: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    var values = unpack(x[i]);
    for (var e = 0u; e < VECTORS; e++) {
        values[e] = drop_out(values[e], i * VECTORS + e);
    }
    y[i] = pack(values);
}
