// score / score
//   losses[slot] = sum over rows of loss,   correct[slot] = number of rows with prediction = target,
//   predictions[first + row] = prediction[row],   over the first `count` rows
//   loss, prediction, targets [BATCH]
//   There is one workgroup. Each invocation adds every 64th row, and the first one adds their sums.
// with: shared/step

const BATCH = 1u;
const LANES = 64u;

@group(0) @binding(0) var<storage, read> loss: array<f32>;
@group(0) @binding(1) var<storage, read> prediction: array<u32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> correct: array<u32>;
@group(0) @binding(5) var<storage, read_write> predictions: array<u32>;

var<workgroup> lane_loss: array<f32, LANES>;
var<workgroup> lane_correct: array<u32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    var right = 0u;
    for (var row = lane; row < min(step.count, BATCH); row += LANES) {
        sum += loss[row];
        right += select(0u, 1u, prediction[row] == targets[row]);
        predictions[step.first + row] = prediction[row];
    }
    lane_loss[lane] = sum;
    lane_correct[lane] = right;
    workgroupBarrier();
    if lane == 0u {
        for (var other = 1u; other < LANES; other++) {
            sum += lane_loss[other];
            right += lane_correct[other];
        }
        losses[step.slot] = sum;
        correct[step.slot] = right;
    }
}
