// pool2d / kind
//   The kind of pooling, and what the passes share. The sizes of the window are in shared/window.wgsl; its padding is
//   always zero here.
// with: shared/window

// The kinds, in the order of `Kind` in src/ops/pool2d/mod.rs.
const MAX = 0u;
const MIN = 1u;
const AVERAGE = 2u;
const L2 = 3u;
const KIND = MAX;

// m is the position of the extreme in the window, r*S + s. A word holds PER_WORD of them: 4 if a byte can hold every
// position, otherwise 1.
const PER_WORD = 4u;
const BITS = 32u / PER_WORD;

// 1 / (R S): multiplying by it is exact if R S is a power of two, while WGSL does not require that of a division.
const SHARE = 1.0 / f32(KERNEL_H * KERNEL_W);

// Whether a value replaces the best of the values before it. The comparison is strict, so that the first of equal
// values wins.
fn takes_over(candidate: vec4<f32>, best: vec4<f32>) -> vec4<bool> {
    if KIND == MIN {
        return candidate < best;
    }
    return candidate > best;
}

// dy x / y, or 0 if y = 0. |x / y| is at most 1, so the result is never larger in magnitude than dy.
fn through_norm(dy: vec4<f32>, x: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    let none = y == vec4<f32>(0.0);
    return select(dy * (x / select(y, vec4<f32>(1.0), none)), vec4<f32>(0.0), none);
}

// The first window that extends as far as `position`: the least p with p * stride + kernel > position.
fn first_place(position: u32, kernel: u32, stride: u32) -> u32 {
    if position < kernel {
        return 0u;
    }
    return (position - kernel) / stride + 1u;
}
