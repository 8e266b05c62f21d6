// shared / softmax
//   What the passes over rows of logits x [BATCH,CLASSES] have in common: the largest logit of a row, its class (the
//   first of several), and the sum of exp(x - largest). An invocation processes one row.

const BATCH = 1u;
const CLASSES = 10u;

@group(0) @binding(0) var<storage, read> x: array<f32>;

struct Row {
    largest: f32,
    best: u32,
    sum: f32,
    broken: bool, // a logit is NaN
    nan: f32, // that logit
}

// The loss, or a NaN if a logit is NaN. Drivers may assume that there are no NaNs: exp and max of SwiftShader lose
// them, and so does the fast math of Metal. Therefore NaNs are detected by their bits and passed on unchanged.
fn honest(loss: f32, found: Row) -> f32 {
    if found.broken {
        return found.nan;
    }
    return loss;
}

fn look_at(row: u32) -> Row {
    var found = Row(x[row * CLASSES], 0u, 0.0, false, 0.0);
    for (var j = 1u; j < CLASSES; j++) {
        let logit = x[row * CLASSES + j];
        if logit > found.largest {
            found.largest = logit;
            found.best = j;
        }
    }
    for (var j = 0u; j < CLASSES; j++) {
        if (bitcast<u32>(x[row * CLASSES + j]) & 0x7fffffffu) > 0x7f800000u {
            found.broken = true;
            found.nan = x[row * CLASSES + j];
        }
        found.sum += exp(x[row * CLASSES + j] - found.largest);
    }
    return found;
}
