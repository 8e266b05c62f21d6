// softmax / quadratic
//   loss[n] = 1/2 sum over j of e[j]^2,   dx[n,j] = a[j] (e[j] - sum over k of a[k] e[k]) / images
//   a = softmax(x[n]), e[j] = a[j] - [j = targets[n]]; prediction[n] = class of the largest logit
//   x, dx [BATCH,CLASSES]   targets, loss, prediction [BATCH]
//   An invocation computes a row; rows from `count` on are padding. `images` is the number of images in the whole batch,
//   of which these rows may be a slice.
// with: shared/softmax, shared/linear, shared/step

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
    let images = f32(max(min(step.count, BATCH), step.total));
    var squares = 0.0;
    var inner = 0.0;
    for (var j = 0u; j < CLASSES; j++) {
        let a = exp(x[row * CLASSES + j] - found.largest) / found.sum;
        let e = a - select(0.0, 1.0, j == t);
        squares += e * e;
        inner += a * e;
    }
    for (var j = 0u; j < CLASSES; j++) {
        let a = exp(x[row * CLASSES + j] - found.largest) / found.sum;
        let e = a - select(0.0, 1.0, j == t);
        dx[row * CLASSES + j] = a * (e - inner) / images;
    }
    loss[row] = honest(0.5 * squares, found);
    prediction[row] = found.best;
}
