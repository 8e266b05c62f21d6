//! The pen: turns lines into 28 x 28 grey pixels, laid out like MNIST.
//!
//! The pen's radius depends on the direction of movement and drifts along the stroke. The inked digit is scaled to fit
//! a box of 20 x 20 pixels, which is placed so that the ink's centre of mass lies at the centre of the image.

use std::f32::consts::TAU;

use super::random::Dice;
use super::skeleton::Point;

/// Width and height of an image, in pixels.
pub(super) const SIDE: usize = 28;
/// Width and height of the box that the ink is fitted to, in pixels.
pub(super) const BOX: usize = 20;

/// Pen radius relative to the size of the digit: median, and standard deviation of the logarithm.
const PEN: (f32, f32) = (0.070, 0.35);
/// Smallest and largest radius, in the same unit.
const PEN_RANGE: (f32, f32) = (0.035, 0.20);
/// Largest relative difference in radius between the two directions of the nib.
const NIB: f32 = 0.6;
/// Pressure: sine waves in the logarithm of the radius along a stroke, in cycles per stroke, and the standard deviation
/// of their amplitudes.
const PRESSURE_WAVES: [f32; 2] = [0.5, 1.3];
const PRESSURE: f32 = 0.28;

/// Smallest radius, in pixels: a thinner line would fall between pixels.
const MIN_RADIUS: f32 = 0.45;
/// Width of the grey edge between ink and paper, in pixels.
const EDGE: (f32, f32) = (0.9, 1.7);
/// Darkness of the ink: 1 is black, and higher values are clipped.
const DARKNESS: (f32, f32) = (0.9, 1.15);

/// A disc of ink; a stroke is the area that the disc covers from one dab to the next.
#[derive(Clone, Copy)]
struct Dab {
    centre: Point,
    radius: f32,
}

/// The pixels of the box, row by row; ink from 0 to 1.
type Patch = [[f32; BOX]; BOX];

/// Draws the lines into an image of `SIDE` x `SIDE` bytes, 0 for paper and 255 for ink.
pub(super) fn paint(lines: &[Vec<Point>], image: &mut [u8], dice: &mut Dice) {
    let mut strokes = dabs(lines, dice);
    fit(&mut strokes);
    centre(&ink(&strokes, dice), image);
}

/// Moves a pen of random width along the lines.
fn dabs(lines: &[Vec<Point>], dice: &mut Dice) -> Vec<Vec<Dab>> {
    let (low, high) = bounds(lines.iter().flatten().map(|&point| (point, 0.0)));
    // Small digits are written with the same pen, so they look bolder once scaled to fill the box.
    let size = (high.x - low.x).max(high.y - low.y).max(0.5).sqrt();
    let radius = (PEN.0 * dice.normal(PEN.1).exp()).clamp(PEN_RANGE.0, PEN_RANGE.1) * size;
    let (nib, nib_angle) = (dice.uniform((0.0, NIB)), dice.angle());
    let mut strokes = Vec::with_capacity(lines.len());
    for line in lines {
        let waves = PRESSURE_WAVES.map(|cycles| (cycles * TAU, dice.angle(), dice.normal(PRESSURE)));
        let last = line.len() - 1;
        let dab = |(i, &centre): (usize, &Point)| {
            let direction = line[(i + 1).min(last)] - line[i.saturating_sub(1)];
            let across = (direction.y.atan2(direction.x) - nib_angle).sin();
            let t = i as f32 / last as f32;
            let pressure: f32 = waves.iter().map(|(frequency, phase, sd)| sd * (frequency * t + phase).sin()).sum();
            Dab { centre, radius: radius * (1.0 + nib * (across * across - 0.5)) * pressure.exp() }
        };
        strokes.push(line.iter().enumerate().map(dab).collect());
    }
    strokes
}

/// The corners of the smallest box around the discs.
fn bounds(discs: impl Iterator<Item = (Point, f32)>) -> (Point, Point) {
    let mut low = Point::new(f32::INFINITY, f32::INFINITY);
    let mut high = Point::new(f32::NEG_INFINITY, f32::NEG_INFINITY);
    for (Point { x, y }, r) in discs {
        low = Point::new(low.x.min(x - r), low.y.min(y - r));
        high = Point::new(high.x.max(x + r), high.y.max(y + r));
    }
    (low, high)
}

/// Scales and moves the strokes so that the ink just fits the box; from here on, lengths are in pixels.
fn fit(strokes: &mut [Vec<Dab>]) {
    let (low, high) = bounds(strokes.iter().flatten().map(|dab| (dab.centre, dab.radius)));
    let scale = BOX as f32 / (high.x - low.x).max(high.y - low.y);
    let middle = (low + high) * 0.5;
    let target = Point::new(BOX as f32 / 2.0, BOX as f32 / 2.0);
    for dab in strokes.iter_mut().flatten() {
        dab.centre = (dab.centre - middle) * scale + target;
        dab.radius = (dab.radius * scale).max(MIN_RADIUS);
    }
}

/// Fills the box: the darkness of a pixel depends on how deep its centre lies inside the ink.
fn ink(strokes: &[Vec<Dab>], dice: &mut Dice) -> Patch {
    let (edge, darkness) = (dice.uniform(EDGE), dice.uniform(DARKNESS));
    let mut depth = [[f32::NEG_INFINITY; BOX]; BOX];
    for stroke in strokes {
        for pair in stroke.windows(2) {
            cover(&mut depth, pair[0], pair[1], edge / 2.0);
        }
    }
    depth.map(|row| row.map(|depth| ((depth / edge + 0.5).clamp(0.0, 1.0) * darkness).min(1.0)))
}

/// Raises `depth`, the distance from a pixel's centre to the rim of the ink (positive inside), to that of one segment,
/// wherever it exceeds `-margin`.
fn cover(depth: &mut Patch, from: Dab, to: Dab, margin: f32) {
    let way = to.centre - from.centre;
    let per_length = way * (1.0 / way.dot(way).max(1e-6));
    let (low, high) = bounds([from, to].iter().map(|dab| (dab.centre, dab.radius + margin)));
    // Pixel i spans i to i + 1. The cast to an integer turns negative numbers into 0.
    let pixels = |low: f32, high: f32| low.floor() as usize..(high.ceil() as usize).min(BOX);
    for row in pixels(low.y, high.y) {
        for column in pixels(low.x, high.x) {
            let offset = Point::new(column as f32 + 0.5, row as f32 + 0.5) - from.centre;
            let t = offset.dot(per_length).clamp(0.0, 1.0);
            let radius = from.radius + (to.radius - from.radius) * t;
            let inside = radius - (offset - way * t).length();
            depth[row][column] = depth[row][column].max(inside);
        }
    }
}

/// Copies the box into an empty image, with its centre of mass as close to the image's centre as whole pixels allow.
fn centre(ink: &Patch, image: &mut [u8]) {
    let mut mass = 0.0;
    let mut moment = Point::default();
    for (row, pixels) in ink.iter().enumerate() {
        for (column, &pixel) in pixels.iter().enumerate() {
            mass += pixel;
            moment = moment + Point::new(column as f32 + 0.5, row as f32 + 0.5) * pixel;
        }
    }
    let corner = |moment: f32| ((SIDE as f32 / 2.0 - moment / mass).round() as usize).min(SIDE - BOX);
    let (top, left) = (corner(moment.y), corner(moment.x));
    for (row, pixels) in ink.iter().enumerate() {
        let start = (top + row) * SIDE + left;
        for (target, &pixel) in image[start..start + BOX].iter_mut().zip(pixels) {
            *target = (pixel * 255.0).round() as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitting_cuts_nothing_off() {
        let dab = |x, y, radius| Dab { centre: Point::new(x, y), radius };
        // Wide, tall, and about square; the ends are of different boldness.
        for end in [dab(3.0, 0.5, 0.2), dab(-0.2, 1.0, 0.05), dab(1.0, -1.0, 0.3)] {
            let mut strokes = vec![vec![dab(0.0, 0.0, 0.1), dab(0.1, 0.1, 0.1)], vec![end]];
            fit(&mut strokes);
            let dabs: Vec<Dab> = strokes.concat();
            let least = |edge: fn(&Dab) -> f32| dabs.iter().map(edge).fold(f32::INFINITY, f32::min);
            let (left, right) = (least(|d| d.centre.x - d.radius), -least(|d| -d.centre.x - d.radius));
            let (top, bottom) = (least(|d| d.centre.y - d.radius), -least(|d| -d.centre.y - d.radius));
            let (width, height) = (right - left, bottom - top);
            assert!((width.max(height) - 20.0).abs() < 1e-4, "{width} x {height}");
            assert!((left + right - 20.0).abs() < 1e-4, "from {left} to {right}");
            assert!((top + bottom - 20.0).abs() < 1e-4, "from {top} to {bottom}");
        }
    }
}
