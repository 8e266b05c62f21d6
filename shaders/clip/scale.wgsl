// clip / scale
//   scale = 1 if norm <= MOST, otherwise MOST / norm,   norm = sqrt(sum over s of partial[s])
//   partial [PARTS]   scale [1]
//   There is one workgroup. Each invocation adds every 64th part, and the first one adds their sums.

const PARTS = 1u;
const MOST = 1f;
const LANES = 64u;

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> scale: array<f32>;

var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var s = lane; s < PARTS; s += LANES) {
        sum += partial[s];
    }
    sums[lane] = sum;
    workgroupBarrier();
    if lane == 0u {
        for (var other = 1u; other < LANES; other++) {
            sum += sums[other];
        }
        let norm = sqrt(sum);
        if norm > MOST {
            scale[0] = MOST / norm;
        } else {
            scale[0] = 1.0;
        }
    }
}
