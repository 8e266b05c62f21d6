// softmax / loss
//   loss[n] = the cost of a = softmax(x[n]),   dx[n,j] = its derivative with respect to x[n,j], divided by `images`
//   prediction[n] = class of the largest logit
//   x, dx [BATCH,CLASSES]   targets, loss, prediction [BATCH]
//   An invocation computes a row; rows from `count` on are padding. `images` is the number of images in the whole batch,
//   of which these rows may be a slice.
// with: softmax/cross_entropy | quadratic, shared/softmax, shared/logits, shared/linear, shared/step

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
    let inner = inner_product(row, t, found);
    for (var j = 0u; j < CLASSES; j++) {
        dx[row * CLASSES + j] = cost_gradient(row, j, t, found, inner) / images;
    }
    loss[row] = honest(cost(row, t, found), found);
    prediction[row] = found.best;
}
