// shared / rows_each
//   Stores the rows of a product of the staged form one by one: product[m,n] = finish(sum).
// with: shared/finish_nothing | finish_bias | finish_dropout | finish_producer

fn store_rows(split: u32, m: u32, n4: u32, column: vec4<f32>, sums: array<vec4<f32>, 4>) {
    var rows = sums;
    for (var q = 0u; q < 4u; q++) {
        if m + q < M {
            let at = (split * PRODUCT_ROWS + m + q) * N4 + n4;
            product[at] = finish(at, column, rows[q]);
        }
    }
}
