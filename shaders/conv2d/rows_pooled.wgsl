// conv2d / rows_pooled
//   Stores the rows of a product of the staged form by fours: the four places of a pooling window, in the order of
//   places_pooled. product[m/4,n] = the maximum or minimum of f(b[n] + sum), after dropout if there is one; places[m/4,n] =
//   its position in the window, the first of several, four in a word. `takes_over` is in pool2d/kind.wgsl.
// with: pool2d/kind, activation/identity | relu | sigmoid | tanh, dropout/none | draw

@group(0) @binding(3) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> places: array<u32>;

fn column_term(column4: u32) -> vec4<f32> {
    return b[column4];
}

fn store_rows(split: u32, m: u32, n4: u32, column: vec4<f32>, sums: array<vec4<f32>, 4>) {
    var rows = sums;
    var best = activate(rows[0] + column);
    var first = vec4<u32>(0u);
    for (var q = 1u; q < 4u; q++) {
        let value = activate(rows[q] + column);
        let better = takes_over(value, best);
        best = select(best, value, better);
        first = select(first, vec4<u32>(q), better);
    }
    let at = m / 4u * N4 + n4;
    product[at] = drop_out(best, at);
    places[at] = dot(first, vec4<u32>(0x1u, 0x100u, 0x10000u, 0x1000000u));
}
