// gather_batch / gather
//   x[row,i] = images[order[first + row], i] / 255,   targets[row] = labels[order[first + row]]
//   images [IMAGES,PIXELS] bytes, four to a word   x [BATCH,PIXELS]   targets [BATCH]
//   An invocation writes four neighbours of x; the first BATCH invocations write a target too. Rows from `count` on
//   are padding: zeros.

const PIXELS = 784u;
const BATCH = 1u;

@group(0) @binding(0) var<storage, read> images: array<u32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> targets: array<u32>;

fn pixel(i: u32) -> f32 {
    let row = i / PIXELS;
    if row >= min(step.count, BATCH) {
        return 0.0;
    }
    let at = order[step.first + row] * PIXELS + i % PIXELS;
    return f32(images[at / 4u] >> (at % 4u * 8u) & 0xffu) / 255.0;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    if i * 4u < BATCH * PIXELS {
        x[i] = vec4<f32>(pixel(i * 4u), pixel(i * 4u + 1u), pixel(i * 4u + 2u), pixel(i * 4u + 3u));
    }
    if i < BATCH {
        if i < step.count {
            targets[i] = labels[order[step.first + i]];
        } else {
            targets[i] = 0u;
        }
    }
}
