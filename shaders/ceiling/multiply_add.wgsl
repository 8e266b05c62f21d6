// ceiling / multiply_add
//   y[i] = sum of the final values of 12 chains;   chain q starts at i + q and takes v <- m v + c, 16 TURNS times
//   factors [2]: m, c   y [COUNT]
//   Measures the peak rate of multiplications and additions without loads. The chains are independent of each other,
//   and few enough for the registers of any device. m and c are loaded, so that the compiler cannot use them as
//   constants.
// with: shared/linear

const TURNS = 1u;

@group(0) @binding(0) var<storage, read> factors: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let m = vec4<f32>(factors[0]);
    let c = vec4<f32>(factors[1]);
    var v0 = vec4<f32>(f32(i)) + vec4<f32>(0.0, 1.0, 2.0, 3.0);
    var v1 = v0 + 4.0;
    var v2 = v0 + 8.0;
    for (var turn = 0u; turn < TURNS; turn++) {
        for (var part = 0u; part < 16u; part++) {
            v0 = fma(v0, m, c);
            v1 = fma(v1, m, c);
            v2 = fma(v2, m, c);
        }
    }
    let v = v0 + v1 + v2;
    y[i] = v.x + v.y + v.z + v.w;
}
