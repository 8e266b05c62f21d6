// augment / gather
//   x[row,p] = images[order[first + row], map(p)] / 255, bilinearly interpolated
//   targets[row] = labels[order[first + row]]
//   images [IMAGES,H,W,C] bytes, four per word   maps [BATCH,MAP] integers (draw.wgsl)
//   x [BATCH,H,W,C]   targets [BATCH]
//   An invocation writes four adjacent elements of x; each of the first BATCH invocations also writes a target. Rows
//   from `count` on are padding and are set to zero; pixels outside an image are zero. Positions in 1/32768 pixel and
//   weights in 1/256 are integers, and the sum of four weighted bytes is exact in f32, so results are bitwise the same
//   on every device.
// with: shared/linear, shared/step

const BATCH = 1u;
const HEIGHT = 28u;
const WIDTH = 28u;
const CHANNELS = 1u;

const PIXELS = HEIGHT * WIDTH * CHANNELS;
const POINTS = 5u;
const MAP = 6u + 2u * POINTS * POINTS;
// 1 / (255 * 65536); the host sets it to the nearest f32.
const SCALE = 5.98374e-8f;

@group(0) @binding(0) var<storage, read> images: array<u32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> maps: array<u32>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> targets: array<u32>;

fn byte(image: u32, y: i32, x: i32, channel: u32) -> u32 {
    if y < 0 || x < 0 || y >= i32(HEIGHT) || x >= i32(WIDTH) {
        return 0u;
    }
    let at = image * PIXELS + (u32(y) * WIDTH + u32(x)) * CHANNELS + channel;
    return (images[at / 4u] >> (at % 4u * 8u)) & 0xffu;
}

// ANCHOR: elastic
// The grid point before pixel `place` of 0 to `last`, and the weight of the next grid point in 1/256, by a smooth step.
fn between(place: u32, last: u32) -> vec2<u32> {
    let at = place * (POINTS - 1u) * 256u / max(last, 1u);
    let point = min(at >> 8u, POINTS - 2u);
    let f = at - point * 256u;
    return vec2<u32>(point, (f * f * (768u - 2u * f)) >> 16u);
}

fn displacement(map: u32, point: u32) -> vec2<i32> {
    let at = map + 6u + 2u * point;
    return vec2<i32>(i32(maps[at]), i32(maps[at + 1u]));
}

fn mixed(a: vec2<i32>, b: vec2<i32>, weight: u32) -> vec2<i32> {
    let w = i32(weight);
    return (a * vec2<i32>(256 - w) + b * vec2<i32>(w)) >> vec2<u32>(8u);
}

fn elastic(map: u32, y: u32, x: u32) -> vec2<i32> {
    let across = between(x, WIDTH - 1u);
    let down = between(y, HEIGHT - 1u);
    let first = down.x * POINTS + across.x;
    let above = mixed(displacement(map, first), displacement(map, first + 1u), across.y);
    let below = mixed(displacement(map, first + POINTS), displacement(map, first + POINTS + 1u), across.y);
    return mixed(above, below, down.y);
}
// ANCHOR_END: elastic

// ANCHOR: pixel
fn pixel(i: u32) -> f32 {
    let row = i / PIXELS;
    if row >= min(step.count, BATCH) {
        return 0.0;
    }
    let within = i % PIXELS;
    let y = within / (WIDTH * CHANNELS);
    let x = within / CHANNELS % WIDTH;
    let channel = within % CHANNELS;
    let map = row * MAP;
    // Relative to the centre of the image, in half pixels.
    let v = vec2<i32>(2 * i32(x) - i32(WIDTH - 1u), 2 * i32(y) - i32(HEIGHT - 1u));
    let from_x = i32(maps[map]) * v.x + i32(maps[map + 1u]) * v.y + i32(maps[map + 4u]);
    let from_y = i32(maps[map + 2u]) * v.x + i32(maps[map + 3u]) * v.y + i32(maps[map + 5u]);
    let at = vec2<i32>(from_x, from_y) + elastic(map, y, x);
    let whole = at >> vec2<u32>(15u);
    let f = vec2<u32>(at >> vec2<u32>(7u)) & vec2<u32>(255u);
    let image = order[step.first + row];
    let above = byte(image, whole.y, whole.x, channel) * (256u - f.x) + byte(image, whole.y, whole.x + 1, channel) * f.x;
    let below =
        byte(image, whole.y + 1, whole.x, channel) * (256u - f.x) + byte(image, whole.y + 1, whole.x + 1, channel) * f.x;
    return f32(above * (256u - f.y) + below * f.y) * SCALE;
}
// ANCHOR_END: pixel

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
