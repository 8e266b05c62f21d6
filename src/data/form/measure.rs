//! Measures the form of a data set's images on a sample of them.

use super::{Anchor, Character, Form, centre_of_mass, corner};
use crate::data::Dataset;

/// Number of images that are examined, spread evenly over the set.
const SAMPLE: usize = 2000;
/// A row or column belongs to the character if its ink reaches at least this fraction of the strongest ink in the
/// image.
const EDGE: f32 = 0.25;
/// Least fraction of all pixels that must be background. In photographs no value is shared by so many pixels.
const LEAST_BACKGROUND: f64 = 0.35;
/// The background varies by at most the range of all pixels divided by this.
const BACKGROUND_VARIES: u8 = 16;
/// Quantiles of the box sizes that give `least` and `most`.
const LEAST: f64 = 0.01;
const MOST: f64 = 0.99;
/// Characters that keep their proportions include some whose box is smaller than the largest by this factor on one
/// axis.
const VARIED: f32 = 0.6;
/// Characters have a uniform size if the smallest is at least this fraction of the largest on both axes.
const UNIFORM: f32 = 0.9;
/// Characters in EMNIST's files are transposed: wider than high by this factor.
const LYING: f64 = 1.1;

impl Form {
    /// The form of these images. `full_scale` is the byte that they were already scaled by; `is_emnist` says whether
    /// they come from files of EMNIST, in which rows and columns may be swapped.
    pub fn measure(set: &Dataset, full_scale: u8, is_emnist: bool) -> Form {
        Form { full_scale, character: Sample::of(set).and_then(|sample| sample.character(is_emnist)) }
    }
}

/// A sample of a set's grey images.
struct Sample<'a> {
    /// Height and width of the images.
    shape: [usize; 2],
    images: Vec<&'a [u8]>,
}

/// The character of one image. Pairs hold a value for the vertical and one for the horizontal axis.
struct Seen {
    /// The first row and column of its box.
    corner: [usize; 2],
    size: [usize; 2],
    /// Its centre of mass, relative to `corner`.
    mass: [f64; 2],
    strongest: u8,
}

impl Seen {
    fn anchor(&self, anchor: Anchor, axis: usize) -> f64 {
        match anchor {
            Anchor::Mass => self.mass[axis],
            Anchor::Box => self.size[axis] as f64 / 2.0,
        }
    }
}

impl<'a> Sample<'a> {
    fn of(set: &'a Dataset) -> Option<Sample<'a>> {
        let [height, width, 1] = set.shape() else { return None };
        let step = set.len().div_ceil(SAMPLE).max(1);
        let images = (0..set.len()).step_by(step).map(|index| set.image(index)).collect();
        Some(Sample { shape: [height, width], images })
    }

    fn character(&self, is_emnist: bool) -> Option<Character> {
        let (background, is_bright) = self.background()?;
        let seen: Vec<Seen> =
            self.images.iter().filter_map(|image| see(image, self.shape, background, is_bright)).collect();
        let strongest = percentile(seen.iter().map(|seen| f64::from(seen.strongest)), 0.5)?;
        let contrast = if is_bright { strongest } else { -strongest };
        let part = |share: f64| -> Option<[f64; 2]> {
            let of = |axis: usize| percentile(seen.iter().map(|seen| seen.size[axis] as f64), share);
            Some([of(0)?, of(1)?])
        };
        let (least, most) = (part(LEAST)?, part(MOST)?);
        // Fraction of the largest box that a character fills, on the tighter axis.
        let filled = |seen: &Seen| (seen.size[0] as f64 / most[0]).max(seen.size[1] as f64 / most[1]);
        let usual = percentile(seen.iter().map(filled), 0.5)?;
        let (vertical, horizontal) = (anchor(&seen, 0, self.shape)?, anchor(&seen, 1, self.shape)?);
        let lie = percentile(seen.iter().map(|seen| seen.size[1] as f64 / seen.size[0] as f64), 0.5)?;
        let measured = Character {
            image: self.shape,
            background,
            ink: (f64::from(background) + contrast) as u8,
            size: most.map(|most| (most * usual) as f32),
            least: least.map(|least| least as f32),
            most: most.map(|most| most as f32),
            anchor: [vertical.0, horizontal.0],
            centre: [vertical.1, horizontal.1].map(|centre| ((centre * 100.0).round() / 100.0) as f32),
            transposed: is_emnist && lie > LYING,
        };
        Some(measured.or_simpler())
    }

    /// The most frequent pixel value, give or take a little, and whether ink is brighter. `None` if no value is
    /// frequent enough.
    fn background(&self) -> Option<(u8, bool)> {
        let mut counts = [0_u64; 256];
        self.images.iter().flat_map(|image| image.iter()).for_each(|byte| counts[usize::from(*byte)] += 1);
        let darkest = counts.iter().position(|count| *count > 0)?;
        let brightest = counts.iter().rposition(|count| *count > 0)?;
        let reach = (brightest - darkest) / usize::from(BACKGROUND_VARIES);
        let around = |value: usize| counts[value.saturating_sub(reach)..=(value + reach).min(255)].iter().sum::<u64>();
        let crowded = (darkest..=brightest).max_by_key(|value| around(*value))?;
        let value = (crowded.saturating_sub(reach)..=(crowded + reach).min(255)).max_by_key(|value| counts[*value])?;
        let all: u64 = counts.iter().sum();
        let stray = |value: usize, count: u64, from: usize| count as f64 * (value as f64 - from as f64).powi(2);
        let [above, below] = [true, false].map(|is_above| {
            let on_side = counts.iter().enumerate().filter(|(at, _)| (*at > value) == is_above);
            on_side.map(|(at, count)| stray(at, *count, value)).sum::<f64>()
        });
        let is_plain = around(value) as f64 >= LEAST_BACKGROUND * all as f64 && darkest < brightest;
        is_plain.then_some((value as u8, above >= below))
    }
}

/// The character of an image; `None` if there is no ink.
fn see(image: &[u8], [height, width]: [usize; 2], background: u8, is_bright: bool) -> Option<Seen> {
    let ink = |byte: u8| if is_bright { byte.saturating_sub(background) } else { background.saturating_sub(byte) };
    let strongest = image.iter().map(|byte| ink(*byte)).max().filter(|ink| *ink > 0)?;
    let least = f32::from(strongest) * EDGE;
    let has_ink = |at: usize| f32::from(ink(image[at])) >= least;
    let rows: Vec<usize> = (0..height).filter(|y| (0..width).any(|x| has_ink(y * width + x))).collect();
    let columns: Vec<usize> = (0..width).filter(|x| (0..height).any(|y| has_ink(y * width + x))).collect();
    let (top, bottom, left, right) = (*rows.first()?, *rows.last()?, *columns.first()?, *columns.last()?);
    let within = (top..=bottom).flat_map(|y| (left..=right).map(move |x| (y, x)));
    let mass = centre_of_mass(within.map(|(y, x)| {
        let place = [(y - top) as u32, (x - left) as u32];
        (place, f32::from(ink(image[y * width + x])))
    }));
    Some(Seen { corner: [top, left], size: [bottom - top + 1, right - left + 1], mass, strongest })
}

/// The point that is at nearly the same position in all characters, and that position. Of the two anchors, the one that
/// best reproduces the characters' positions; if both are equal, the one that varies less.
fn anchor(seen: &[Seen], axis: usize, shape: [usize; 2]) -> Option<(Anchor, f64)> {
    let tried = [Anchor::Mass, Anchor::Box].map(|anchor| {
        let at = |seen: &Seen| seen.corner[axis] as f64 + seen.anchor(anchor, axis);
        let centre = percentile(seen.iter().map(at), 0.5)?;
        let error = |seen: &Seen| {
            let free = shape[axis] - seen.size[axis];
            corner(centre as f32, seen.anchor(anchor, axis), free).abs_diff(seen.corner[axis])
        };
        let spread: f64 = seen.iter().map(|seen| (at(seen) - centre).abs()).sum();
        Some(((seen.iter().map(error).sum::<usize>(), spread), (anchor, centre)))
    });
    let [mass, middle] = tried;
    let ((by_mass, mass), (by_middle, middle)) = (mass?, middle?);
    Some(if by_middle < by_mass { middle } else { mass })
}

impl Character {
    /// Replaces measured values by simpler ones that are nearly the same: one size for all characters, or the form of
    /// MNIST, if characters fit 20 of 28 pixels on the tighter axis, keep their proportions and have their centre of
    /// mass at the centre.
    fn or_simpler(self) -> Character {
        if (0..2).all(|axis| self.least[axis] >= UNIFORM * self.most[axis]) {
            return Character { least: self.most, size: self.most, ..self };
        }
        let mnist = Character { background: self.background, ink: self.ink, ..Character::mnist(self.image) };
        let is_mnist = (0..2).all(|axis| {
            let near = |ours: f32, theirs: f32| (ours - theirs).abs() <= (self.image[axis] as f32 / 56.0).max(0.51);
            near(self.size[axis], mnist.size[axis])
                && near(self.most[axis], mnist.most[axis])
                && near(self.centre[axis], mnist.centre[axis])
                && self.anchor[axis] == Anchor::Mass
        });
        let is_varied = (0..2).any(|axis| self.least[axis] < VARIED * self.most[axis]);
        if is_mnist && is_varied && !self.transposed { mnist } else { self }
    }
}

#[cfg(feature = "images")]
impl Character {
    /// Whether an image of H x W bytes already has this form, so that it needs no preparation. Not if rows and columns
    /// are swapped, which cannot be recognised in a single image.
    pub(crate) fn is_met_by(&self, image: &[u8]) -> bool {
        let contrast = f32::from(self.ink.abs_diff(self.background));
        let near = |value: u8| image.iter().filter(|byte| f32::from(byte.abs_diff(value)) < contrast / 4.0).count();
        // If there is more ink than background, the polarity may be inverted.
        near(self.background) > near(self.ink) && self.may_be_met_by(image)
    }

    /// The same for bold characters, whose ink covers more than the background does. They cannot be told from an image
    /// with inverted polarity.
    pub(crate) fn may_be_met_by(&self, image: &[u8]) -> bool {
        let is_bright = self.ink > self.background;
        let contrast = f32::from(self.ink.abs_diff(self.background));
        let is_there = |value: u8| image.iter().any(|byte| f32::from(byte.abs_diff(value)) < contrast / 4.0);
        if self.transposed || image.len() != self.image[0] * self.image[1] || !is_there(self.background) {
            return false;
        }
        see(image, self.image, self.background, is_bright).is_some_and(|seen| {
            let size = seen.size.map(|size| size as f32);
            // Pixels at the edge of a stretched character may be paler than a quarter of the ink, and are then outside
            // its box.
            let slack = self.image.map(|side| (side as f32 / 7.0).max(1.0));
            let is_sized =
                (0..2).all(|axis| size[axis] + slack[axis] >= self.least[axis] && size[axis] <= self.most[axis] + 1.0);
            let is_placed = (0..2).all(|axis| {
                let at = seen.corner[axis] as f64 + seen.anchor(self.anchor[axis], axis);
                (at - f64::from(self.centre[axis])).abs() <= 1.0
            });
            let fits = (0..2).any(|axis| size[axis] + 1.0 >= self.size[axis]);
            is_sized && is_placed && fits && f32::from(seen.strongest) >= contrast / 2.0
        })
    }
}

/// The value with a fraction `share` of all values below it; `None` if there are no values.
fn percentile(values: impl Iterator<Item = f64>, share: f64) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    let last = values.len().checked_sub(1)?;
    let at = (last as f64 * share).round() as usize;
    Some(*values.select_nth_unstable_by(at, f64::total_cmp).1)
}
