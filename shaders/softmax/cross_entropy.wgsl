// softmax / cross_entropy
//   cost = -sum over j of q[j] log a[j],   its gradient: a[j] - q[j]
//   q[j] = (1 - S) [j = t] + S / CLASSES,   S = SMOOTHING,   t the target,   a = softmax(logits)
//   -log a[j] = log(sum over k of exp(x[k] - max)) - (x[j] - max)
// with: shared/softmax

const SMOOTHING = 0f;

// A part of the gradient that all logits of a row share: none.
fn inner_product(row: u32, t: u32, found: Row) -> f32 {
    return 0.0;
}

fn cost_gradient(row: u32, j: u32, t: u32, found: Row, inner: f32) -> f32 {
    let other = SMOOTHING / f32(CLASSES);
    let own = 1.0 - SMOOTHING + other;
    return probability(row, j, found) - select(other, own, j == t);
}

fn cost(row: u32, t: u32, found: Row) -> f32 {
    let surprise = log(found.sum) - (logit(row, t) - found.largest);
    if SMOOTHING == 0.0 {
        return surprise;
    }
    var sum = 0.0;
    for (var j = 0u; j < CLASSES; j++) {
        sum += log(found.sum) - (logit(row, j) - found.largest);
    }
    return (1.0 - SMOOTHING) * surprise + SMOOTHING / f32(CLASSES) * sum;
}
