// augment / draw
//   maps[row] = a random map from the pixels of a distorted image to positions in the original, by seed, step and row of
//   the whole batch, of which this may be a slice
//   maps [BATCH,MAP] integers: a b c d in 1/16384, tx ty in 1/32768 pixel, then POINTS * POINTS displacements dx dy in
//   1/32768 pixel
//   An invocation writes the six numbers of the affine map, or four of the displacements. All arithmetic is in
//   integers, so that every device computes the same maps to the bit. Random numbers have 4,096 steps from -1 to just
//   below 1.
// with: shared/linear, shared/step, shared/random

const BATCH = 1u;
const HEIGHT = 28u;
const WIDTH = 28u;

// The largest amount of each distortion: pixels in 1/32768; radians, scale and tangent in 1/16384.
const SHIFT = 0u;
const ROTATION = 0u;
const SCALE = 0u;
const SHEAR = 0u;
const ELASTIC = 0u;

const POINTS = 5u;
const DISPLACEMENTS = 2u * POINTS * POINTS;
const MAP = 6u + DISPLACEMENTS;
// Number of invocations per row, and number of counters reserved for it.
const PARTS = 1u + (DISPLACEMENTS + 3u) / 4u;
const DRAWS = 16u;
// Part of the key where dropout has the index of its layer: no layer has this index.
const NO_LAYER = 0xffffffffu;
const ONE = 16384;

@group(0) @binding(0) var<storage, read_write> maps: array<u32>;

// ANCHOR: affine
fn draw(row: u32, number: u32) -> vec4<i32> {
    let words = random4(vec4<u32>(step.seed_low, step.seed_high, step.step, NO_LAYER), (step.row + row) * DRAWS + number);
    return vec4<i32>(words >> vec4<u32>(20u)) - vec4<i32>(2048);
}

// u * most, with u in 1/2048.
fn within(u: i32, most: u32) -> i32 {
    return (u * i32(most)) >> 11u;
}

fn product(a: i32, b: i32) -> i32 {
    return (a * b) >> 14u;
}

// The first terms of the Taylor series, for angles up to pi/4.
fn sine(t: i32) -> i32 {
    let t2 = product(t, t);
    return t - product(t, product(t2, 2731)) + product(t, product(product(t2, t2), 137));
}

fn cosine(t: i32) -> i32 {
    let t2 = product(t, t);
    let t4 = product(t2, t2);
    return ONE - (t2 >> 1u) + product(t4, 683) - product(product(t4, t2), 23);
}

fn affine(row: u32) {
    let u = draw(row, 0u);
    let shear = within(draw(row, 1u).x, SHEAR);
    let angle = within(u.z, ROTATION);
    let scale = ONE + within(u.w, SCALE);
    let c = cosine(angle);
    let s = sine(angle);
    // The matrix scale * rotation * shear, and the centre of the image plus the shift.
    let at = row * MAP;
    maps[at] = u32(product(scale, c));
    maps[at + 1u] = u32(product(scale, product(c, shear) - s));
    maps[at + 2u] = u32(product(scale, s));
    maps[at + 3u] = u32(product(scale, product(s, shear) + c));
    maps[at + 4u] = u32(i32(WIDTH - 1u) * ONE + within(u.x, SHIFT));
    maps[at + 5u] = u32(i32(HEIGHT - 1u) * ONE + within(u.y, SHIFT));
}
// ANCHOR_END: affine

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, local);
    if i >= COUNT {
        return;
    }
    let row = i / PARTS;
    let part = i % PARTS;
    if part == 0u {
        affine(row);
        return;
    }
    let u = draw(row, part + 1u);
    for (var e = 0u; e < 4u; e++) {
        let number = part * 4u - 4u + e;
        if number < DISPLACEMENTS {
            maps[row * MAP + 6u + number] = u32(within(u[e], ELASTIC));
        }
    }
}
