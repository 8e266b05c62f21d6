// shared / bias_nothing
//   For products of the staged form that do not sum the columns of their right operand.

const BIAS = false;
const PRODUCT_ROWS = M;

fn store_bias(split: u32, n4: u32, sum: vec4<f32>) {
}
