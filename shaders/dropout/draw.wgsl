// dropout / draw
//   Which elements are dropped, computed from the same key and so with the same result in both passes:
//   element i is dropped if word i%4 of random4((seed low, seed high, step, LAYER), i/4) is below THRESHOLD; the others
//   are multiplied by SCALE.   THRESHOLD = rate * 2^32   SCALE = 1 / (1 - rate)   KEPT = 1 - rate
//   Elements are counted from the start of the whole batch, which begins step.row rows of IMAGE_LEN elements before this
//   slice; step.row * IMAGE_LEN is a multiple of 4.
// with: shared/random, shared/step

const LAYER = 0u;
const IMAGE_LEN = 1u;
const THRESHOLD = 0u;
const SCALE = 1f;
const KEPT = 1f;

// `values` are elements 4i to 4i + 3 of the slice.
fn drop_out(values: vec4<f32>, i: u32) -> vec4<f32> {
    let words = random4(vec4<u32>(step.seed_low, step.seed_high, step.step, LAYER), step.row * IMAGE_LEN / 4u + i);
    return select(values * SCALE, vec4<f32>(0.0), words < vec4<u32>(THRESHOLD));
}
