// shared / matrix_reduce
//   product[i] = finish(sum over s of partial[s,i]),   i counts the COUNT vec4 of [M,N]
//   An invocation adds one vec4 of all parts, in order, so that results are reproducible to the bit.
// with: shared/linear, shared/finish_nothing | finish_bias | finish_dropout | finish_producer

const PARTS = 1u;
const COLUMNS4 = 1u;

@group(0) @binding(0) var<storage, read> partial: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> product: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    var sum = vec4<f32>(0.0);
    for (var part = 0u; part < PARTS; part++) {
        sum += partial[part * COUNT + i];
    }
    product[i] = finish(i, column_term(i % COLUMNS4), sum);
}
