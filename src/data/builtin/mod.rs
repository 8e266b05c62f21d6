//! Handwritten-like digits that the program generates: training data without a download.
//!
//! Each digit is written in several styles, each defined by a few stroke skeletons drawn by hand (`styles`). An image
//! picks a style, blends its skeletons and distorts the blend as a hand would (`skeleton`), then inks it with a pen and
//! lays it out like MNIST (`render`).
//!
//! Training digits are written by a hurried hand, which varies more than the writers of MNIST do. A network trained on
//! nothing else recognizes 98 % of the MNIST test images (`benches/runs/2026-11-30-epyc-zen3-first-run`). Steadier
//! training digits are easier to learn but teach less: at 85 % of the deviations, the accuracy on MNIST fell by 0.2
//! points (preset `fast`, 5 epochs, two seeds each). Validation digits are written by hands between steady and hurried,
//! so that the accuracy on them is close to that on MNIST. They still vary more: after `shadegrad train fast --data
//! data/mnist`, `shadegrad evaluate latest --data builtin` gives 92 %, and 81 % with `MIXED_SPREAD` set to (1.0, 1.0).
//!
//! What a network misses is styles rather than noise: about forty additional shapes reduced the error on 10,000 MNIST
//! training images from 2.9 to 2.4 % (mean of two runs). Sharper edges, less slant and jitter, stronger waves and bows,
//! or more varied pens changed nothing beyond the difference between two runs (0.2 points).

mod random;
mod render;
mod skeleton;
mod styles;

use rand::seq::SliceRandom;
use rayon::prelude::*;

use self::random::Dice;
use self::render::SIDE;
use self::styles::STYLES;

/// How steadily digits are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// Hurried, with the largest deviations: for training.
    Hurried,
    /// Between steady and hurried, drawn for each image: for validation.
    Mixed,
}

/// Range of the deviations of [`Hand::Mixed`], as shares of those of [`Hand::Hurried`].
const MIXED_SPREAD: (f32, f32) = (0.5, 1.0);

/// Draws `count` digits in a hurried hand; see [`digits_by`].
pub fn digits(count: usize, seed: u64) -> (Vec<u8>, Vec<u8>) {
    digits_by(Hand::Hurried, count, seed)
}

/// Draws `count` digits. Returns the images, `count` x 28 x 28 x 1 (NHWC) with 0 for paper and 255 for ink, and their
/// labels, 0 to 9 in random order and equally often, up to rounding.
///
/// Equal seeds give equal bytes on any number of threads: image i draws its random numbers from its own stream (seed,
/// i). On another platform, whose sine rounds differently, a pixel may occasionally differ by one grey level.
pub fn digits_by(hand: Hand, count: usize, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let mut labels: Vec<u8> = (0..count).map(|i| (i % STYLES.len()) as u8).collect();
    labels.shuffle(&mut Dice::new(seed, u64::MAX).numbers);

    let mut images = vec![0; count * SIDE * SIDE];
    images.par_chunks_mut(SIDE * SIDE).zip(&labels).enumerate().for_each(|(i, (image, &label))| {
        let mut dice = Dice::new(seed, i as u64);
        if hand == Hand::Mixed {
            dice.spread = dice.uniform(MIXED_SPREAD);
        }
        draw(label, image, &mut dice);
    });
    (images, labels)
}

/// Draws one digit into an empty image.
fn draw(digit: u8, image: &mut [u8], dice: &mut Dice) {
    let styles = STYLES[usize::from(digit)];
    let style = &styles[dice.pick(styles.iter().map(|style| style.weight))];
    let lines = skeleton::write(style, dice);
    render::paint(&lines, image, dice);
}

#[cfg(test)]
mod tests {
    use super::render::BOX;
    use super::*;

    /// The inked pixels: row, column, ink.
    fn inked(image: &[u8]) -> impl Iterator<Item = (usize, usize, f64)> {
        let inked = image.iter().enumerate().filter(|&(_, &pixel)| pixel > 0);
        inked.map(|(i, &pixel)| (i / SIDE, i % SIDE, pixel.into()))
    }

    /// Number of rows or columns from the first to the last inked one, inclusive.
    fn extent(positions: &[usize]) -> usize {
        positions.iter().max().unwrap() - positions.iter().min().unwrap() + 1
    }

    #[test]
    fn equal_seeds_give_equal_bytes_on_any_number_of_threads() {
        let expected = digits(300, 7);
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| digits(300, 7)) == expected, "{threads} threads");
        }
    }

    #[test]
    fn seeds_and_images_differ() {
        let ((images, labels), (others, other_labels)) = (digits(300, 7), digits(300, 8));
        assert_ne!(labels, other_labels);
        let mut all: Vec<_> = images.chunks(SIDE * SIDE).chain(others.chunks(SIDE * SIDE)).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 600, "distinct images");
    }

    #[test]
    fn labels_are_balanced_and_shuffled() {
        let (_, labels) = digits(1003, 1);
        for digit in 0..10 {
            let count = labels.iter().filter(|&&label| label == digit).count();
            assert_eq!(count, if digit < 3 { 101 } else { 100 }, "digit {digit}");
        }
        let ascents = labels.windows(2).filter(|pair| pair[1] == (pair[0] + 1) % 10).count();
        assert!(ascents < 200, "{ascents} of 1002 labels follow their predecessor; 100 would by chance");
    }

    #[test]
    fn ink_fits_a_box_and_is_centred_by_mass() {
        let (images, labels) = digits(3000, 3);
        let mut off_centre = 0;
        for (i, image) in images.chunks(SIDE * SIDE).enumerate() {
            let what = format!("image {i}, a {}", labels[i]);
            assert!(inked(image).next().is_some(), "{what} is empty");

            let (rows, columns): (Vec<_>, Vec<_>) = inked(image).map(|(row, column, _)| (row, column)).unzip();
            let (width, height) = (extent(&columns), extent(&rows));
            assert_eq!(width.max(height), BOX, "{what} is {width} x {height}");

            let mass: f64 = inked(image).map(|(.., ink)| ink).sum();
            let y = inked(image).map(|(row, _, ink)| (row as f64 + 0.5) * ink).sum::<f64>() / mass;
            let x = inked(image).map(|(_, column, ink)| (column as f64 + 0.5) * ink).sum::<f64>() / mass;
            let off = (x - 14.0).abs().max((y - 14.0).abs());
            assert!(off <= 2.0, "{what} has its mass at {x}, {y}");
            // Placement in whole pixels may be off by half a pixel, and rounded grey levels add a little.
            off_centre += usize::from(off > 0.51);
        }
        // A few digits are so lopsided that the box reaches the border of the image first.
        assert!(off_centre <= 10, "{off_centre} of 3000 images off centre");
    }

    #[test]
    fn no_digits_are_no_problem() {
        assert_eq!(digits(0, 1), (vec![], vec![]));
    }

    /// Steadier hands stay closer to what the styles have in common.
    #[test]
    fn mixed_hands_vary_less() {
        let spread = |hand| {
            let (images, labels) = digits_by(hand, 2000, 5);
            let ones: Vec<&[u8]> = images
                .chunks(SIDE * SIDE)
                .zip(&labels)
                .filter(|(_, label)| **label == 1)
                .map(|(image, _)| image)
                .collect();
            let mean = |pixel: usize| ones.iter().map(|image| f64::from(image[pixel])).sum::<f64>() / ones.len() as f64;
            let variance = |pixel: usize| {
                let mean = mean(pixel);
                ones.iter().map(|image| (f64::from(image[pixel]) - mean).powi(2)).sum::<f64>()
            };
            (0..SIDE * SIDE).map(variance).sum::<f64>()
        };
        let (hurried, mixed) = (spread(Hand::Hurried), spread(Hand::Mixed));
        assert!(mixed < 0.95 * hurried, "{mixed} against {hurried}");
    }
}
