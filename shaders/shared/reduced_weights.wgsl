// shared / reduced_weights
//   Stores a sum of matrix_reduce_tree as weight_reduce does: in dw, or in db if it belongs to the row behind dw.

const WEIGHTS4 = 1u;

@group(0) @binding(1) var<storage, read_write> dw: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> db: array<vec4<f32>>;

fn store_sum(i: u32, sum: vec4<f32>) {
    if i < WEIGHTS4 {
        dw[i] = sum;
    } else {
        db[i - WEIGHTS4] = sum;
    }
}
