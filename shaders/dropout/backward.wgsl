// dropout / backward
//   dx[i] = 0 if element i was dropped, otherwise f'(x[i]) * dy[i] / (1 - rate)
//   An invocation computes a pack (shared/pack.wgsl); `drop_out` of draw.wgsl drops the same elements as in forward.
// with: dropout/draw, shared/linear, shared/pack | pack_wide, activation/identity | relu | sigmoid | tanh

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> dy: array<Pack>;
@group(0) @binding(2) var<storage, read_write> dx: array<Pack>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    var values = unpack(dy[i]);
    var made = unpack(x[i]);
    for (var e = 0u; e < VECTORS; e++) {
        values[e] = through_activation(drop_out(values[e], i * VECTORS + e), made[e]);
    }
    dx[i] = pack(values);
}
