// shared / bias_tensor
//   Stores the column sums of the right operand in a tensor of their own. For sums that are not split.

const BIAS = true;
const PRODUCT_ROWS = M;

@group(0) @binding(4) var<storage, read_write> bias: array<vec4<f32>>;

fn store_bias(split: u32, n4: u32, sum: vec4<f32>) {
    bias[n4] = sum;
}
