// classifier / loss
//   The last dense layer, the loss, and the gradients of both, for each row n:
//     z[n,j] = b[j] + sum over i of x[n,i] * w[i,j], the logits, which are not stored
//     loss[n], prediction[n] and dy[n,j], the derivative with respect to z[n,j], as in softmax / loss
//     dx[n,i] = f'(x[n,i]) * sum over j of dy[n,j] * w[i,j], where `finish` multiplies by f'(x)
//   x, dx [N,I]   w [I,C]   b [C]   dy [N,C]   targets, loss, prediction [N];   I is a multiple of 4, C at most LANES
//   A workgroup computes a row. Its invocations divide the inputs among them; the first C of them add the parts of a
//   logit each. Then every invocation goes through the logits itself, which takes less time than to wait for one that
//   does.
// with: softmax/cross_entropy | quadratic, shared/softmax, shared/linear, shared/step, shared/x_buffer | x_texture
// with: shared/finish_nothing | finish_dropout | finish_producer

const INPUTS4 = 1u;
const LANES = 64u;
const NO_PREDICTION = 0xffffffffu;

@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read_write> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> loss: array<f32>;
@group(0) @binding(6) var<storage, read_write> prediction: array<u32>;
@group(0) @binding(7) var<storage, read_write> dx: array<vec4<f32>>;

var<workgroup> partial: array<f32, LANES * CLASSES>; // [lane][class]
var<workgroup> logits: array<f32, CLASSES>;
var<workgroup> gradients: array<f32, CLASSES>;

fn logit(row: u32, j: u32) -> f32 {
    return logits[j];
}

// Weights of class j from inputs 4 i4 to 4 i4 + 3.
fn weights(i4: u32, j: u32) -> vec4<f32> {
    let at = i4 * 4u * CLASSES + j;
    return vec4<f32>(w[at], w[at + CLASSES], w[at + 2u * CLASSES], w[at + 3u * CLASSES]);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Workgroups past the end of a folded grid compute the last row again and store nothing.
    let is_row = linear_group(group) < BATCH;
    let row = min(linear_group(group), BATCH - 1u);
    let counts = row < step.count;

    var sums: array<f32, CLASSES>;
    for (var i4 = lane; i4 < INPUTS4; i4 += LANES) {
        let inputs = load_x(row * INPUTS4 + i4);
        for (var j = 0u; j < CLASSES; j++) {
            sums[j] += dot(inputs, weights(i4, j));
        }
    }
    for (var j = 0u; j < CLASSES; j++) {
        partial[lane * CLASSES + j] = sums[j];
    }
    workgroupBarrier();
    if lane < CLASSES {
        var sum = b[lane];
        for (var part = 0u; part < LANES; part++) {
            sum += partial[part * CLASSES + lane];
        }
        logits[lane] = sum;
    }
    workgroupBarrier();

    let found = look_at(row);
    // The targets of padding mean nothing.
    let t = select(0u, targets[row], counts);
    let images = f32(max(min(step.count, BATCH), step.total));
    if lane < CLASSES {
        let gradient = cost_gradient(row, lane, t, found, inner_product(row, t, found)) / images;
        gradients[lane] = select(0.0, gradient, counts);
        if is_row {
            dy[row * CLASSES + lane] = gradients[lane];
        }
    }
    if is_row && lane == 0u {
        loss[row] = select(0.0, honest(cost(row, t, found), found), counts);
        prediction[row] = select(NO_PREDICTION, found.best, counts);
    }
    workgroupBarrier();
    for (var i4 = lane; i4 < INPUTS4; i4 += LANES) {
        var sum = vec4<f32>(0.0);
        for (var j = 0u; j < CLASSES; j++) {
            sum += gradients[j] * weights(i4, j);
        }
        let at = row * INPUTS4 + i4;
        if is_row {
            dx[at] = finish(at, column_term(i4), sum);
        }
    }
}
