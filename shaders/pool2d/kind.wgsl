// pool2d / kind
//   What becomes of a window, and what the passes share. The window itself is in shared/window.wgsl; its padding is
//   always zero here.
// with: shared/window

// In the order of `Kind`.
const MAX = 0u;
const MIN = 1u;
const AVERAGE = 2u;
const L2 = 3u;
const KIND = MAX;

// m: which place of the window is extreme, r*S + s, in words of PER_WORD places: 4 where a byte holds every place, else 1.
const PER_WORD = 4u;
const BITS = 32u / PER_WORD;

// 1 / (R S): a product with it is exact where R S is a power of two, while a division need not be.
const SHARE = 1.0 / f32(KERNEL_H * KERNEL_W);

// Whether a place takes over from the best of the places before it. Strict, so that the first of equals keeps it.
fn takes_over(candidate: vec4<f32>, best: vec4<f32>) -> vec4<bool> {
    if KIND == MIN {
        return candidate < best;
    }
    return candidate > best;
}

// dy x / y, and 0 where y = 0. |x / y| is at most 1, so nothing overflows that dy did not.
fn through_norm(dy: vec4<f32>, x: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    let none = y == vec4<f32>(0.0);
    return select(dy * (x / select(y, vec4<f32>(1.0), none)), vec4<f32>(0.0), none);
}

// The first place whose window reaches as far as `position`: the least p with p * stride + kernel > position.
fn first_place(position: u32, kernel: u32, stride: u32) -> u32 {
    if position < kernel {
        return 0u;
    }
    return (position - kernel) / stride + 1u;
}
