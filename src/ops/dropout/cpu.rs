use super::{Backward, Forward, Mask};
use crate::ops::{Activation, Compute, Step};
use crate::reference::{Real, Tensors};

/// Numbers of bits by which words are rotated in round `r % 8`, for its first and its second pair of words.
pub(super) const ROTATIONS: [[u32; 2]; 8] =
    [[10, 26], [11, 21], [13, 27], [23, 5], [6, 20], [17, 11], [25, 10], [18, 20]];

/// Threefry-4x32 with 20 rounds.
pub(in crate::ops) fn threefry(key: [u32; 4], counter: [u32; 4]) -> [u32; 4] {
    let [a, b, c, d] = key;
    let keys = [a, b, c, d, 0x1bd1_1bda ^ a ^ b ^ c ^ d];
    let mut x = counter;
    for i in 0..4 {
        x[i] = x[i].wrapping_add(keys[i]);
    }
    for round in 0..20 {
        let pairs = if round % 2 == 0 { [[0, 1], [2, 3]] } else { [[0, 3], [2, 1]] };
        for ([i, j], by) in pairs.into_iter().zip(ROTATIONS[round % 8]) {
            x[i] = x[i].wrapping_add(x[j]);
            x[j] = x[j].rotate_left(by) ^ x[i];
        }
        if round % 4 == 3 {
            let injection = round / 4 + 1;
            for i in 0..4 {
                x[i] = x[i].wrapping_add(keys[(injection + i) % 5]);
            }
            x[3] = x[3].wrapping_add(injection as u32);
        }
    }
    x
}

impl Mask {
    // ANCHOR: drop_out
    /// The output for element `i` of a slice with this value: 0 or `value / (1 - rate)`.
    pub(crate) fn drop_out<F: Real>(&self, value: F, step: &Step, i: usize) -> F {
        if self.drops(step, i) { F::zero() } else { value * F::of(f64::from(self.scale())) }
    }

    /// Whether element `i` of a slice is dropped.
    pub(crate) fn drops(&self, step: &Step, i: usize) -> bool {
        let key = [step.seed_low, step.seed_high, step.step, self.layer];
        let i = self.first(step) + i;
        let words = threefry(key, [(i / 4) as u32, 0, 0, 0]);
        words[i % 4] < self.threshold()
    }
    // ANCHOR_END: drop_out
}

impl Compute for Forward {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let x = tensors.input("x");
        let y = tensors.output("y");
        for i in 0..self.len {
            y[i] = self.mask.drop_out(x[i], &tensors.step, i);
        }
    }
}

impl Compute for Backward {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let dy = tensors.input("dy");
        let dx = tensors.output("dx");
        for i in 0..self.len {
            dx[i] = self.mask.drop_out(dy[i], &tensors.step, i);
        }
        if self.producer != Activation::Identity {
            let x = tensors.input("x");
            for i in 0..self.len {
                dx[i] = dx[i] * self.producer.derivative(x[i]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the library Random123, for counters and keys of all zeros, all ones, and the digits of pi.
    #[test]
    fn threefry_gives_the_known_answers() {
        let pi =
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344, 0xa409_3822, 0x299f_31d0, 0x082e_fa98, 0xec4e_6c89];
        let (counter, key) = ([pi[0], pi[1], pi[2], pi[3]], [pi[4], pi[5], pi[6], pi[7]]);
        assert_eq!(threefry([0; 4], [0; 4]), [0x9c6c_a96a, 0xe17e_ae66, 0xfc10_ecd4, 0x5256_a7d8]);
        assert_eq!(threefry([!0; 4], [!0; 4]), [0x2a88_1696, 0x5701_2287, 0xf6c7_446e, 0xa16a_6732]);
        assert_eq!(threefry(key, counter), [0x59cd_1dbb, 0xb887_9579, 0x86b5_d00c, 0xac8b_6d84]);
    }
}
