// shared / softmax
//   What the passes over rows of logits have in common: the largest logit of a row, its class (the first of several),
//   and the sum of exp(logit - largest). An invocation processes one row; logit(row, class) is defined elsewhere.

const BATCH = 1u;
const CLASSES = 10u;

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
    var found = Row(logit(row, 0u), 0u, 0.0, false, 0.0);
    for (var j = 1u; j < CLASSES; j++) {
        let value = logit(row, j);
        if value > found.largest {
            found.largest = value;
            found.best = j;
        }
    }
    for (var j = 0u; j < CLASSES; j++) {
        let value = logit(row, j);
        if (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u {
            found.broken = true;
            found.nan = value;
        }
        found.sum += exp(value - found.largest);
    }
    return found;
}

// softmax(logits)[j]
fn probability(row: u32, j: u32, found: Row) -> f32 {
    return exp(logit(row, j) - found.largest) / found.sum;
}
