// shared / softmax
//   What the passes over rows of logits x [BATCH,CLASSES] have in common: the largest logit of a row, which class it is
//   (the first of several), and the sum of exp(x - largest). An invocation looks at a row.

const BATCH = 1u;
const CLASSES = 10u;

@group(0) @binding(0) var<storage, read> x: array<f32>;

struct Row {
    largest: f32,
    best: u32,
    sum: f32,
}

fn look_at(row: u32) -> Row {
    var found = Row(x[row * CLASSES], 0u, 0.0);
    for (var j = 1u; j < CLASSES; j++) {
        let logit = x[row * CLASSES + j];
        if logit > found.largest {
            found.largest = logit;
            found.best = j;
        }
    }
    for (var j = 0u; j < CLASSES; j++) {
        found.sum += exp(x[row * CLASSES + j] - found.largest);
    }
    return found;
}
