// gather_batch / gather
//   x[row,i] = images[order[first + row], i] / 255,   targets[row] = labels[order[first + row]]
//   images [IMAGES,PIXELS] bytes, four per word   x [BATCH,PIXELS]   targets [BATCH]
//   An invocation writes four adjacent elements of x; each of the first BATCH invocations also writes a target. Rows
//   from `count` on are padding and are set to zero.
// with: shared/linear, shared/step

const PIXELS = 784u;
const BATCH = 1u;

// Number of words per image, if images consist of whole words.
const WORDS = max(PIXELS / 4u, 1u);

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
    return f32((images[at / 4u] >> (at % 4u * 8u)) & 0xffu) / 255.0;
}

// Pixels 4i to 4i + 3, which are in a single word if images consist of whole words.
fn pixels(i: u32) -> vec4<f32> {
    if PIXELS % 4u != 0u {
        return vec4<f32>(pixel(i * 4u), pixel(i * 4u + 1u), pixel(i * 4u + 2u), pixel(i * 4u + 3u));
    }
    let row = i / WORDS;
    if row >= min(step.count, BATCH) {
        return vec4<f32>(0.0);
    }
    let word = images[order[step.first + row] * WORDS + i % WORDS];
    return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu)) / 255.0;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    if i * 4u < BATCH * PIXELS {
        x[i] = pixels(i);
    }
    if i < BATCH {
        if i < step.count {
            targets[i] = labels[order[step.first + i]];
        } else {
            targets[i] = 0u;
        }
    }
}
