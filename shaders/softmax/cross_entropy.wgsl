// softmax / cross_entropy
//   loss[n] = log(sum over k of exp(x[n,k] - max)) - (x[n,t] - max),   dx[n,j] = (a[n,j] - [j = t]) / count
//   a = softmax(x), t = targets[n]; prediction[n] = class of the largest logit
//   x, dx [BATCH,CLASSES]   targets, loss, prediction [BATCH]; an invocation computes a row, rows from `count` on are
//   padding

const NO_PREDICTION = 0xffffffffu;

@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> prediction: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = linear_index(group, local);
    if row >= COUNT {
        return;
    }
    if row >= step.count {
        for (var j = 0u; j < CLASSES; j++) {
            dx[row * CLASSES + j] = 0.0;
        }
        loss[row] = 0.0;
        prediction[row] = NO_PREDICTION;
        return;
    }
    let found = look_at(row);
    let t = targets[row];
    let images = f32(min(step.count, BATCH));
    for (var j = 0u; j < CLASSES; j++) {
        let a = exp(x[row * CLASSES + j] - found.largest) / found.sum;
        dx[row * CLASSES + j] = (a - select(0.0, 1.0, j == t)) / images;
    }
    loss[row] = honest(log(found.sum) - (x[row * CLASSES + t] - found.largest), found);
    prediction[row] = found.best;
}
