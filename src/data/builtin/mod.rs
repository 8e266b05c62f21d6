//! Handwritten-like digits, drawn on the spot: data to train on where nothing can be downloaded.
//!
//! Every digit is written in several styles, each of them a few skeletons of strokes drawn by hand ([`styles`]). An
//! image takes one style, blends its skeletons and disturbs the blend as a hand would ([`skeleton`]), then draws it
//! with a pen and lays it out as MNIST is laid out ([`render`]). A network that has seen nothing else reads about 98 %
//! of MNIST's test images.

mod random;
mod render;
mod skeleton;
mod styles;

use rand::seq::SliceRandom;
use rayon::prelude::*;

use self::random::Dice;
use self::render::SIDE;
use self::styles::STYLES;

/// Draws `count` digits. Returns the images, `count` x 28 x 28 x 1 (NHWC) with 0 for paper and 255 for ink, and their
/// labels, 0 to 9 in random order and equally often, up to rounding.
///
/// Equal seeds give equal bytes, on however many threads: image i rolls the dice of its own stream (seed, i). (On
/// another platform, whose sine rounds differently, a pixel may now and then differ by one grey level.)
pub fn digits(count: usize, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let mut labels: Vec<u8> = (0..count).map(|i| (i % STYLES.len()) as u8).collect();
    labels.shuffle(&mut Dice::new(seed, u64::MAX).0);

    let mut images = vec![0; count * SIDE * SIDE];
    images.par_chunks_mut(SIDE * SIDE).zip(&labels).enumerate().for_each(|(i, (image, &label))| {
        draw(label, image, &mut Dice::new(seed, i as u64));
    });
    (images, labels)
}

/// Draws one digit into an empty image.
fn draw(digit: u8, image: &mut [u8], dice: &mut Dice) {
    let styles = STYLES[usize::from(digit)];
    let style = &styles[dice.pick(styles.iter().map(|style| style.weight))];
    let lines = skeleton::skeleton(style, dice);
    render::render(&lines, image, dice);
}
