use super::cpu::ROTATIONS;
use super::{Backward, Forward, Mask};
use crate::error::Result;
use crate::fast::sums::WORTH;
use crate::fast::{Fast, Team, vectorized};
use crate::ops::Step;
use crate::reference::Tensors;
use rayon::prelude::*;

/// Number of counters that are processed together: one word of each makes a vector.
const TOGETHER: usize = 16;

/// Number of elements for which they give random words.
const BLOCK: usize = 4 * TOGETHER;

type Words = [u32; TOGETHER];

/// Threefry-4x32 with 20 rounds for the counters `(first, 0, 0, 0)`, `(first + 1, 0, 0, 0)`, …: returns the first words
/// of all results, then the second words, and so on.
#[inline(always)]
fn threefry(key: [u32; 4], first: u32) -> [Words; 4] {
    let [a, b, c, d] = key;
    let keys = [a, b, c, d, 0x1bd1_1bda ^ a ^ b ^ c ^ d];
    let plus = |words: Words, by: u32| words.map(|word| word.wrapping_add(by));
    let counters = std::array::from_fn(|i| first.wrapping_add(i as u32));
    let mut x = [plus(counters, a), [b; TOGETHER], [c; TOGETHER], [d; TOGETHER]];
    for four in 0..5 {
        for round in 0..4 {
            let [first, second] = ROTATIONS[(4 * four + round) % 8];
            let (i, j) = if round % 2 == 0 { (1, 3) } else { (3, 1) };
            mix(&mut x, 0, i, first);
            mix(&mut x, 2, j, second);
        }
        let injection = four + 1;
        x = std::array::from_fn(|i| plus(x[i], keys[(injection + i) % 5]));
        x[3] = plus(x[3], injection as u32);
    }
    x
}

#[inline(always)]
fn mix(x: &mut [Words; 4], i: usize, j: usize, by: u32) {
    let (mut a, mut b) = (x[i], x[j]);
    for (a, b) in a.iter_mut().zip(&mut b) {
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(by) ^ *a;
    }
    (x[i], x[j]) = (a, b);
}

impl Mask {
    /// Applies dropout to some elements of a slice of the batch; the first of them has the index `first` in the slice.
    #[inline(always)]
    pub(crate) fn drop_in_place(&self, values: &mut [f32], first: usize, step: &Step) {
        let key = [step.seed_low, step.seed_high, step.step, self.layer];
        let (below, factor) = (self.threshold(), self.scale());
        // A counter gives the words of four elements, and `values` may begin between two counters.
        let mut next = self.first(step) + first;
        let mut values = values;
        while !values.is_empty() {
            let skip = next % 4;
            let words = threefry(key, (next / 4) as u32);
            let mut drawn = [0; BLOCK];
            for i in 0..TOGETHER {
                (0..4).for_each(|j| drawn[4 * i + j] = words[j][i]);
            }
            let (now, later) = values.split_at_mut((BLOCK - skip).min(values.len()));
            for (value, word) in now.iter_mut().zip(&drawn[skip..]) {
                *value = if *word < below { 0.0 } else { *value * factor };
            }
            next += now.len();
            values = later;
        }
    }
}

impl Mask {
    /// Applies dropout to a whole tensor.
    pub(crate) fn drop_all(&self, team: &Team, values: &mut [f32], step: &Step) {
        let part = part(team, values.len());
        values.par_chunks_mut(part).enumerate().for_each(|(index, values)| {
            vectorized!(team, self.drop_in_place(values, index * part, step));
        });
    }
}

/// Number of elements per part of the work, a multiple of [`BLOCK`].
fn part(team: &Team, len: usize) -> usize {
    team.part(len, WORTH).next_multiple_of(BLOCK)
}

impl Fast for Forward {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let (x, step) = (tensors.input("x"), tensors.step);
        let y = tensors.output("y");
        let part = part(team, self.len);
        y.par_chunks_mut(part).zip(x.par_chunks(part)).enumerate().for_each(|(index, (y, x))| {
            vectorized!(team, {
                y.copy_from_slice(x);
                self.mask.drop_in_place(y, index * part, &step);
            });
        });
        Ok(())
    }
}

impl Fast for Backward {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let (dy, step) = (tensors.input("dy"), tensors.step);
        let dx = tensors.output("dx");
        let x = self.producer.input(tensors);
        let part = part(team, self.len);
        dx.par_chunks_mut(part).zip(dy.par_chunks(part)).enumerate().for_each(|(index, (dx, dy))| {
            vectorized!(team, {
                dx.copy_from_slice(dy);
                self.mask.drop_in_place(dx, index * part, &step);
                if let Some(x) = x {
                    self.producer.multiply_derivative(dx, &x[index * part..]);
                }
            });
        });
        Ok(())
    }
}
