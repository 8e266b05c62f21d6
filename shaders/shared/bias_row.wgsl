// shared / bias_row
//   Stores the column sums of the right operand in a row of their own behind the M rows of each part of the product.
//   For split sums: weight_reduce and matrix_reduce_tree add these rows like the others.

const BIAS = true;
const PRODUCT_ROWS = M + 1u;

fn store_bias(split: u32, n4: u32, sum: vec4<f32>) {
    product[(split * PRODUCT_ROWS + M) * N4 + n4] = sum;
}
