// softmax / quadratic
//   cost = 1/2 sum over j of e[j]^2,   its gradient: a[j] (e[j] - sum over k of a[k] e[k])
//   a = softmax(logits), e[j] = a[j] - [j = t], t the target
// with: shared/softmax

// sum over k of a[k] e[k], a part of the gradient that all logits of a row share
fn inner_product(row: u32, t: u32, found: Row) -> f32 {
    var inner = 0.0;
    for (var j = 0u; j < CLASSES; j++) {
        let a = probability(row, j, found);
        inner += a * (a - select(0.0, 1.0, j == t));
    }
    return inner;
}

fn cost_gradient(row: u32, j: u32, t: u32, found: Row, inner: f32) -> f32 {
    let a = probability(row, j, found);
    return a * (a - select(0.0, 1.0, j == t) - inner);
}

fn cost(row: u32, t: u32, found: Row) -> f32 {
    var squares = 0.0;
    for (var j = 0u; j < CLASSES; j++) {
        let e = probability(row, j, found) - select(0.0, 1.0, j == t);
        squares += e * e;
    }
    return 0.5 * squares;
}
