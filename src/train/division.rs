//! How a batch is divided: into slices for the ranks, and each slice into parts that its rank computes one after another.

use crate::network::Network;
use crate::ops::Step;
use std::ops::Range;

/// The division of batches. The parts of all ranks follow each other in a batch, and all but the last ones hold the same
/// number of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    /// Number of ranks.
    pub ranks: usize,
    /// Number of parts per rank.
    pub parts: usize,
    /// Most images in a part.
    pub images: usize,
}

impl Division {
    /// Divides batches of `batch` images of a network.
    pub fn new(network: &Network, batch: usize, ranks: usize, parts: usize) -> Division {
        if ranks * parts == 1 {
            return Division { ranks, parts, images: batch };
        }
        // A part begins where every layer can go on with its random numbers.
        let unit = network.layers.iter().map(|at| at.layer.rows_per_slice(at.input)).max().unwrap_or(1);
        let images = batch.div_ceil(ranks * parts).next_multiple_of(unit);
        // Parts that would never have images are left out.
        Division { ranks, parts: batch.div_ceil(ranks * images), images }
    }

    /// The rows of a batch of `count` images that make a part.
    pub fn rows(&self, count: usize, rank: usize, part: usize) -> Range<usize> {
        let first = (rank * self.parts + part) * self.images;
        first.min(count)..(first + self.images).min(count)
    }

    /// The rows of a batch of `count` images that a rank computes.
    pub fn slice(&self, count: usize, rank: usize) -> Range<usize> {
        self.rows(count, rank, 0).start..self.rows(count, rank, self.parts - 1).end
    }

    /// Number of images in a part of each rank.
    pub fn counts(&self, count: usize, part: usize) -> Vec<usize> {
        (0..self.ranks).map(|rank| self.rows(count, rank, part).len()).collect()
    }

    /// The parts of a step that a rank computes. With `syncs`, ranks share the statistics of a batch.
    pub fn parts_of(&self, step: &Step, rank: usize, syncs: bool) -> Vec<Step> {
        let count = step.count as usize;
        let part = |part: usize| {
            let rows = self.rows(count, rank, part);
            Step {
                first: step.first + rows.start as u32,
                count: rows.len() as u32,
                slot: step.slot * self.parts as u32 + part as u32,
                row: rows.start as u32,
                total: step.count,
                pooled: if syncs { self.counts(count, part).iter().sum::<usize>() as u32 } else { 0 },
                part: part as u32,
                ..*step
            }
        };
        (0..self.parts).map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(images: usize, ranks: usize, parts: usize, count: usize) -> Vec<Range<usize>> {
        let division = Division { ranks, parts, images };
        (0..ranks).flat_map(|rank| (0..parts).map(move |part| division.rows(count, rank, part))).collect()
    }

    #[test]
    fn slices_cover_a_batch() {
        assert_eq!(rows(3, 4, 1, 10), [0..3, 3..6, 6..9, 9..10]);
        assert_eq!(rows(3, 4, 1, 4), [0..3, 3..4, 4..4, 4..4]);
        assert_eq!(rows(2, 2, 3, 11), [0..2, 2..4, 4..6, 6..8, 8..10, 10..11]);
        for (images, ranks, parts, count) in [(1, 7, 1, 3), (4, 3, 2, 17), (5, 1, 1, 5)] {
            let all: Vec<usize> = rows(images, ranks, parts, count).into_iter().flatten().collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn parts_begin_where_random_numbers_can_go_on() {
        let network = |units: usize| {
            let text = format!(
                "input = [2, 2, 1]\nlayers = [{{ type = 'flatten' }}, {{ type = 'dense', units = {units} }}, \
                 {{ type = 'dropout', rate = 0.5 }}, {{ type = 'dense', units = 3 }}]"
            );
            Network::from_toml("small", &text).unwrap()
        };
        for (units, images) in [(8, 3), (6, 4), (7, 4)] {
            assert_eq!(Division::new(&network(units), 10, 2, 2).images, images);
            // Nothing is rounded up where nothing is divided.
            assert_eq!(Division::new(&network(units), 10, 1, 1).images, 10);
        }
    }

    #[test]
    fn parts_are_steps_of_the_whole_batch() {
        let division = Division { ranks: 2, parts: 2, images: 3 };
        let step = Step { first: 20, count: 10, slot: 4, step: 9, learning_rate: 0.5, ..Step::default() };
        let got: Vec<_> = (0..2).flat_map(|rank| division.parts_of(&step, rank, true)).collect();
        let numbers = |of: fn(&Step) -> u32| got.iter().map(of).collect::<Vec<_>>();
        assert_eq!(numbers(|step| step.first), [20, 23, 26, 29]);
        assert_eq!(numbers(|step| step.row), [0, 3, 6, 9]);
        assert_eq!(numbers(|step| step.count), [3, 3, 3, 1]);
        assert_eq!(numbers(|step| step.slot), [8, 9, 8, 9]);
        assert_eq!(numbers(|step| step.part), [0, 1, 0, 1]);
        assert_eq!(numbers(|step| step.pooled), [6, 4, 6, 4]);
        assert!(division.parts_of(&step, 0, false).iter().all(|part| part.pooled == 0));
        assert!(got.iter().all(|part| part.total == 10 && part.step == 9 && part.learning_rate == 0.5));
    }
}
