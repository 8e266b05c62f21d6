//! Shapes drawn at random: a list of edge cases covers only what somebody thought of.
//!
//! Every draw follows from a seed, the name of its purpose and a number, so one shape can be drawn again without those
//! before it. Small sizes, and sizes around multiples of four, are more frequent than others, because the choice of
//! kernel depends on them.

use crate::data::order::{below, mix};
use crate::shape::{Padding, Window2d};
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use std::ops::Range;

/// Most multiplications and additions of a drawn pass: the reference computes as many in a millisecond or two.
pub(crate) const MOST_FLOPS: u64 = 300_000;

/// A source of random sizes and settings.
pub struct Draw(Pcg64);

impl Draw {
    /// The random source for draw `number` of the purpose `name`.
    pub fn new(seed: u64, name: &str, number: usize) -> Draw {
        let seed = name.bytes().fold(seed, |seed, byte| mix(seed, u64::from(byte)));
        Draw(Pcg64::seed_from_u64(mix(seed, number as u64)))
    }

    /// A number in `0..bound`, uniformly distributed.
    pub fn below(&mut self, bound: usize) -> usize {
        below(bound as u64, &mut self.0) as usize
    }

    /// A number in `1..=most`, uniformly distributed.
    pub fn up_to(&mut self, most: usize) -> usize {
        1 + self.below(most)
    }

    /// True with a probability of 1 in `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `these`, each equally likely.
    pub fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.below(these.len())]
    }

    /// A number in `range`, uniformly distributed.
    pub fn real(&mut self, range: Range<f64>) -> f64 {
        // 53 bits: the precision of an f64 between 0 and 1.
        let share = (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        range.start + share * (range.end - range.start)
    }

    /// A size in `1..=most`: small, close to a multiple of four, or any.
    pub fn size(&mut self, most: usize) -> usize {
        match self.below(4) {
            0 => self.up_to(most.min(4)),
            1 => self.up_to(most.min(12)),
            2 => (4 * self.up_to(most.div_ceil(4)) + self.below(3)).saturating_sub(1).clamp(1, most),
            _ => self.up_to(most),
        }
    }

    /// A number of channels in `1..=most`: as few as in a picture, a multiple of four, or any.
    pub fn channels(&mut self, most: usize) -> usize {
        match self.below(3) {
            0 => self.up_to(most.min(3)),
            1 => (4 * self.up_to(most.div_ceil(4))).min(most),
            _ => self.up_to(most),
        }
    }

    /// A window on a batch of images; `padded` allows any padding that a layer accepts. Half of the windows are square,
    /// as nearly all are in real networks.
    pub fn window(&mut self, padded: bool) -> Window2d {
        loop {
            let rows = self.axis();
            let columns = if self.once_in(2) { rows } else { self.axis() };
            let padding = match self.below(4) {
                0 if padded => Padding::Same,
                1 | 2 if padded => Padding::Explicit([rows.zeros, columns.zeros]),
                _ => Padding::Valid,
            };
            let image = [rows.input, columns.input, self.channels(24)];
            let (kernel, stride) = ([rows.kernel, columns.kernel], [rows.stride, columns.stride]);
            // A kernel larger than its padded image is not a valid window.
            if let Ok(window) = Window2d::new(self.size(6), image, kernel, stride, padding) {
                return window;
            }
        }
    }

    fn axis(&mut self) -> Axis {
        let input = self.size(20);
        let kernel = if self.once_in(4) { self.up_to(input + 3) } else { self.up_to(5) };
        let stride = if self.once_in(3) { self.up_to(kernel + 3) } else { self.up_to(3) };
        Axis { input, kernel, stride, zeros: self.below(kernel) }
    }
}

/// One dimension of a window.
#[derive(Clone, Copy)]
struct Axis {
    /// Size of the image in pixels.
    input: usize,
    /// Size of the window in pixels.
    kernel: usize,
    /// Pixels between neighbouring positions of the window.
    stride: usize,
    /// Zeros on each side of the image.
    zeros: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_repeats_itself_and_others_differ() {
        let drawn = |seed, name, number| {
            let mut draw = Draw::new(seed, name, number);
            (0..4).map(|_| draw.window(true)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7, "conv2d", 3), drawn(7, "conv2d", 3));
        for other in [drawn(8, "conv2d", 3), drawn(7, "pool2d", 3), drawn(7, "conv2d", 4)] {
            assert_ne!(drawn(7, "conv2d", 3), other);
        }
    }

    #[test]
    fn sizes_stay_within_their_range_and_reach_its_ends() {
        for most in [1, 2, 3, 4, 5, 24] {
            let mut draw = Draw::new(1, "sizes", most);
            let sizes: Vec<usize> = (0..2000).flat_map(|_| [draw.size(most), draw.channels(most)]).collect();
            assert_eq!((sizes.iter().min(), sizes.iter().max()), (Some(&1), Some(&most)));
        }
    }

    /// Shapes that the list of edge cases once lacked, and every property in which windows can differ.
    #[test]
    fn windows_are_of_every_kind() {
        let windows: Vec<Window2d> = (0..2000).map(|number| Draw::new(1, "windows", number).window(true)).collect();
        let count = |is: fn(&Window2d) -> bool| windows.iter().filter(|window| is(window)).count();
        let reach = |w: &Window2d| {
            [(w.out_height - 1) * w.stride[0] + w.kernel[0], (w.out_width - 1) * w.stride[1] + w.kernel[1]]
        };
        let kinds: [fn(&Window2d) -> bool; 7] = [
            |w| w.padding != [0, 0] && w.kernel[0] > w.height,
            |w| w.stride[0] > w.kernel[0],
            |w| w.stride[0] > 2 * w.padding[0] && w.padding[0] > 0,
            |w| w.channels % 4 == 0,
            |w| w.channels == 1,
            |w| w.height != w.width,
            |w| w.kernel == [w.height, w.width],
        ];
        assert!(kinds.into_iter().all(|kind| count(kind) >= 10), "{:?}", kinds.map(count));
        let as_far_as_the_image = |w: &&Window2d| w.padding != [0, 0] && reach(w) == [w.height, w.width];
        assert!(windows.iter().filter(as_far_as_the_image).count() >= 3);
    }
}
