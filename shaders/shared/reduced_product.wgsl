// shared / reduced_product
//   Stores a sum of matrix_reduce_tree as matrix_reduce does: product[i] = finish(sum).
// with: shared/finish_nothing | finish_bias | finish_dropout | finish_producer

const COLUMNS4 = 1u;

@group(0) @binding(2) var<storage, read_write> product: array<vec4<f32>>;

fn store_sum(i: u32, sum: vec4<f32>) {
    product[i] = finish(i, column_term(i % COLUMNS4), sum);
}
