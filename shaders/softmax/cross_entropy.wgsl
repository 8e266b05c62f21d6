// softmax / cross_entropy
//   loss[n] = -sum over j of q[j] log a[n,j],   dx[n,j] = (a[n,j] - q[j]) / images
//   q[j] = (1 - S) [j = t] + S / CLASSES,   t = targets[n],   S = SMOOTHING
//   a = softmax(x),   -log a[n,j] = log(sum over k of exp(x[n,k] - max)) - (x[n,j] - max)
//   prediction[n] = class of the largest logit
//   x, dx [BATCH,CLASSES]   targets, loss, prediction [BATCH]
//   An invocation computes a row; rows from `count` on are padding. `images` is the number of images in the whole batch,
//   of which these rows may be a slice.
// with: shared/softmax, shared/linear, shared/step

const SMOOTHING = 0f;
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
    let other = SMOOTHING / f32(CLASSES);
    let own = 1.0 - SMOOTHING + other;
    for (var j = 0u; j < CLASSES; j++) {
        let a = exp(x[row * CLASSES + j] - found.largest) / found.sum;
        dx[row * CLASSES + j] = (a - select(other, own, j == t)) / images;
    }
    var surprise = log(found.sum) - (x[row * CLASSES + t] - found.largest);
    if SMOOTHING > 0.0 {
        var sum = 0.0;
        for (var j = 0u; j < CLASSES; j++) {
            sum += log(found.sum) - (x[row * CLASSES + j] - found.largest);
        }
        surprise = (1.0 - SMOOTHING) * surprise + other * sum;
    }
    loss[row] = honest(surprise, found);
    prediction[row] = found.best;
}
