//! The hand: turns a style into the lines of one digit.
//!
//! The shapes of the style are blended into new control points, the points are jittered, curves are drawn through them,
//! and the whole is bent, stretched and slanted. Lengths are in units of the height of the drawn digit, with x to the
//! right and y down.

use std::f32::consts::TAU;
use std::iter::zip;
use std::ops::{Add, Mul, Sub};

use super::random::Dice;
use super::styles::Style;

/// How strongly one shape of a style dominates the blend; see [`Dice::shares`].
const CONTRAST: f32 = 2.3;
/// Blends are stretched about the mean of the shapes by this factor, so that they may go slightly beyond the drawn
/// shapes.
const EXAGGERATION: f32 = 1.3;
/// Standard deviation of the displacement of each control point, drawn from this range for each image.
const JITTER: (f32, f32) = (0.012, 0.05);
/// Standard deviation of the additional displacement of stroke ends, relative to that of all points.
const END_JITTER: f32 = 2.0;
/// Standard deviation of the length by which the end of a stroke is too long or too short.
const OVERSHOOT: f32 = 0.08;
/// Share of the images whose corners are rounded, partly or fully.
const ROUNDED: f32 = 0.6;

/// Smooth distortion: number of sine waves, standard deviation of their amplitudes, and frequencies (cycles per digit
/// height).
const WAVES: usize = 3;
const WAVE_AMPLITUDE: f32 = 0.055;
const WAVE_FREQUENCY: (f32, f32) = (0.4, 1.1);

/// Standard deviation of g in `y + g y (1 - y)`, which moves the middle of the digit up or down.
const SAG: f32 = 0.24;
/// Standard deviation of the relative change of width from top to bottom.
const TAPER: f32 = 0.26;
/// Standard deviation of the sideways bow: x per squared distance from the middle.
const BOW: f32 = 0.16;
/// Width relative to the drawn one: median, and standard deviation of the logarithm.
const ASPECT: (f32, f32) = (1.12, 0.27);
/// Slant, x per y, positive when leaning right: mean and standard deviation.
const SLANT: (f32, f32) = (0.11, 0.27);
/// Standard deviation of the rotation, in radians.
const ROTATION: f32 = 0.12;

/// Straight segments between two control points.
const PIECES: usize = 6;

/// A point, or the vector from one point to another.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

impl Point {
    pub(super) fn new(x: f32, y: f32) -> Point {
        Point { x, y }
    }

    pub(super) fn dot(self, other: Point) -> f32 {
        self.x * other.x + self.y * other.y
    }

    pub(super) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    fn random(sd: f32, dice: &mut Dice) -> Point {
        Point::new(dice.normal(sd), dice.normal(sd))
    }
}

impl Add for Point {
    type Output = Point;
    fn add(self, other: Point) -> Point {
        Point::new(self.x + other.x, self.y + other.y)
    }
}

impl Sub for Point {
    type Output = Point;
    fn sub(self, other: Point) -> Point {
        Point::new(self.x - other.x, self.y - other.y)
    }
}

impl Mul<f32> for Point {
    type Output = Point;
    fn mul(self, factor: f32) -> Point {
        Point::new(self.x * factor, self.y * factor)
    }
}

/// A stroke as drawn in the styles: control points, and which of them are corners.
#[derive(Clone, Debug)]
pub(super) struct Stroke {
    points: Vec<Point>,
    corners: Vec<bool>,
}

/// Parses the strokes of one shape; `styles` documents the notation, and a test parses all of it.
#[expect(clippy::expect_used, reason = "the notation is part of the program, and a test reads all of it")]
fn parse(shape: &str) -> Vec<Stroke> {
    let number = |word: &str| word.parse::<f32>().expect("a coordinate") / 100.0;
    let point = |text: &str| {
        let (x, y) = text.trim().split_once(' ').expect("two coordinates");
        (Point::new(number(x), number(y.trim_end_matches('!'))), y.ends_with('!'))
    };
    let stroke = |text: &str| {
        let (points, corners) = text.split(',').map(point).unzip();
        Stroke { points, corners }
    };
    shape.split('|').map(stroke).collect()
}

/// Writes a random digit of the style: for each stroke, the points of a polyline. The origin is near its centre.
pub(super) fn write(style: &Style, dice: &mut Dice) -> Vec<Vec<Point>> {
    let mut strokes = blend(style, dice);
    jitter(&mut strokes, dice);
    let mut lines = connect(&strokes, dice);
    distort(&mut lines, dice);
    transform(&mut lines, dice);
    lines
}

/// A random weighted mean of the style's shapes.
fn blend(style: &Style, dice: &mut Dice) -> Vec<Stroke> {
    // Parsed again for every image: this takes a few microseconds, which is not worth a second table.
    let shapes: Vec<_> = style.shapes.iter().map(|shape| parse(shape)).collect();
    let mean = 1.0 / shapes.len() as f32;
    let shares = dice.shares(shapes.len(), CONTRAST);
    let mut blended = shapes[0].clone();
    for (k, stroke) in blended.iter_mut().enumerate() {
        stroke.points.fill(Point::default());
        for (shape, share) in zip(&shapes, &shares) {
            let weight = mean + (share - mean) * EXAGGERATION;
            for (sum, &point) in zip(&mut stroke.points, &shape[k].points) {
                *sum = *sum + point * weight;
            }
        }
    }
    blended
}

/// Moves each control point a little, and the ends of the strokes more.
fn jitter(strokes: &mut [Stroke], dice: &mut Dice) {
    let sd = dice.uniform(JITTER) * dice.spread;
    for Stroke { points, .. } in strokes {
        for point in points.iter_mut() {
            *point = *point + Point::random(sd, dice);
        }
        let last = points.len() - 1;
        for (end, neighbour) in [(0, 1), (last, last - 1)] {
            let moved = points[end] + Point::random(sd * END_JITTER, dice);
            let along = moved - points[neighbour];
            // A direction, shorter for short spans, whose direction is unreliable.
            let direction = along * (1.0 / (0.15 + along.length()));
            points[end] = moved + direction * dice.normal(OVERSHOOT);
        }
    }
}

/// Draws curves through the control points, with corners that are more or less sharp.
fn connect(strokes: &[Stroke], dice: &mut Dice) -> Vec<Vec<Point>> {
    let roundness = if dice.chance(ROUNDED) { dice.uniform((0.0, 1.0)) } else { 0.0 };
    let line = |Stroke { points, corners }: &Stroke| {
        let sharp = curve(points, corners);
        let round = curve(points, &vec![false; points.len()]);
        zip(sharp, round).map(|(s, r)| s + (r - s) * roundness).collect()
    };
    strokes.iter().map(line).collect()
}

/// A Catmull-Rom curve through the points, in short straight segments, which may change direction abruptly at corners.
fn curve(points: &[Point], corners: &[bool]) -> Vec<Point> {
    let last = points.len() - 1;
    let breaks = |i: usize| i == 0 || i == last || corners[i];
    let mut line = Vec::with_capacity(last * PIECES + 1);
    for i in 0..last {
        let (b, c) = (points[i], points[i + 1]);
        // Where a smooth part begins or ends, it continues the parabola through its last three points, or the straight
        // line if it has only two.
        let (a, d) = match (breaks(i), breaks(i + 1)) {
            (false, false) => (points[i - 1], points[i + 2]),
            (true, false) => (b * 2.5 - c * 2.0 + points[i + 2] * 0.5, points[i + 2]),
            (false, true) => (points[i - 1], c * 2.5 - b * 2.0 + points[i - 1] * 0.5),
            (true, true) => (b * 2.0 - c, c * 2.0 - b),
        };
        for piece in 0..PIECES {
            let t = piece as f32 / PIECES as f32;
            let cubic = b * 3.0 - a - c * 3.0 + d;
            let square = a * 2.0 - b * 5.0 + c * 4.0 - d;
            line.push(b + ((c - a) + (square + cubic * t) * t) * (t / 2.0));
        }
    }
    line.push(points[last]);
    line
}

/// Displaces all points by a few smooth waves.
fn distort(lines: &mut [Vec<Point>], dice: &mut Dice) {
    for _ in 0..WAVES {
        let (sin, cos) = dice.angle().sin_cos();
        let frequency = TAU * dice.uniform(WAVE_FREQUENCY);
        let (wave, phase) = (Point::new(cos, sin) * frequency, dice.angle());
        let amplitude = Point::random(WAVE_AMPLITUDE, dice);
        for point in lines.iter_mut().flatten() {
            *point = *point + amplitude * (point.dot(wave) + phase).sin();
        }
    }
}

/// Applies the habits of a writer to the whole digit: proportions, slant, rotation.
fn transform(lines: &mut [Vec<Point>], dice: &mut Dice) {
    let (sag, taper, bow) = (dice.normal(SAG), dice.normal(TAPER), dice.normal(BOW));
    let aspect = ASPECT.0 * dice.normal(ASPECT.1).exp();
    let slant = SLANT.0 + dice.normal(SLANT.1);
    let (sin, cos) = dice.normal(ROTATION).sin_cos();
    for point in lines.iter_mut().flatten() {
        let Point { x, y } = *point;
        let y = y + sag * y * (1.0 - y) - 0.5;
        // The drawn digits are about 0.6 wide.
        let x = (x - 0.3) * (1.0 + taper * y) * aspect + bow * y * y - slant * y;
        *point = Point::new(x * cos - y * sin, x * sin + y * cos);
    }
}

#[cfg(test)]
mod tests {
    use super::super::styles::STYLES;
    use super::*;

    /// What the shapes of a style have in common: which points of each stroke are corners.
    fn structure(shape: &str) -> Vec<Vec<bool>> {
        parse(shape).into_iter().map(|stroke| stroke.corners).collect()
    }

    #[test]
    fn shapes_of_a_style_have_equal_structure() {
        for (digit, styles) in STYLES.iter().enumerate() {
            for Style { weight, shapes } in *styles {
                assert!(*weight > 0.0, "digit {digit}, {shapes:?}");
                for shape in *shapes {
                    assert_eq!(structure(shape), structure(shapes[0]), "digit {digit}, {shape}");
                    assert!(parse(shape).iter().all(|stroke| stroke.points.len() >= 2), "digit {digit}, {shape}");
                }
            }
        }
    }

    #[test]
    fn curves_pass_through_their_points_and_turn_at_corners() {
        let Stroke { points, corners } = &parse("0 0, 0 100!, 50 100, 100 100")[0];
        let line = curve(points, corners);
        for (i, span) in points.windows(2).enumerate() {
            for piece in 0..=PIECES {
                // Both parts are straight, so their segments are equally long.
                let expected = span[0] + (span[1] - span[0]) * (piece as f32 / PIECES as f32);
                let found = line[i * PIECES + piece];
                assert!((found - expected).length() < 1e-6, "span {i}, piece {piece}: {found:?}, not {expected:?}");
            }
        }
        let round = curve(points, &[false; 4]);
        assert!(round.iter().any(|point| point.y > 1.01), "without its corner the curve swings out: {round:?}");
    }
}
