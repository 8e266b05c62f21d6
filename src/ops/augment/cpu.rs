use super::{Augment, Draw, Gather, MAP, POINTS};
use crate::ops::dropout::threefry;
use crate::ops::{Compute, Step};
use crate::reference::{Real, Tensors};

/// The number 1 in the matrix of a map.
pub(super) const ONE: i32 = 1 << 14;

/// Part of the key where dropout has the index of its layer: no layer has this index.
const NO_LAYER: u32 = u32::MAX;

/// Number of counters reserved per row, each of which gives four random words.
const DRAWS: usize = 16;

/// The largest amount of each distortion in the units of the kernel: pixels in 1/32768; radians, scale and tangent in
/// 1/16384.
pub(super) struct Most {
    pub shift: u32,
    pub rotation: u32,
    pub scale: u32,
    pub shear: u32,
    pub elastic: u32,
}

impl Augment {
    pub(super) fn most(&self) -> Most {
        let of = |value: f64, unit: f64| (value * unit).round() as u32;
        let one = f64::from(ONE);
        Most {
            shift: of(self.shift, 2.0 * one),
            rotation: of(self.rotation.to_radians(), one),
            scale: of(self.scale, one),
            shear: of(self.shear, one),
            elastic: of(self.elastic, 2.0 * one),
        }
    }
}

/// Four random numbers from -2048 to 2047, for a row of a slice of the batch.
fn draw(step: &Step, row: usize, number: usize) -> [i32; 4] {
    let key = [step.seed_low, step.seed_high, step.step, NO_LAYER];
    threefry(key, [((step.row as usize + row) * DRAWS + number) as u32, 0, 0, 0]).map(|word| (word >> 20) as i32 - 2048)
}

/// `u * most`, for `u` in 1/2048.
fn within(u: i32, most: u32) -> i32 {
    (u * most as i32) >> 11
}

fn product(a: i32, b: i32) -> i32 {
    (a * b) >> 14
}

/// The first terms of the Taylor series, for angles up to pi/4, in 1/16384.
fn sine(t: i32) -> i32 {
    let t2 = product(t, t);
    t - product(t, product(t2, 2731)) + product(t, product(product(t2, t2), 137))
}

fn cosine(t: i32) -> i32 {
    let t2 = product(t, t);
    let t4 = product(t2, t2);
    ONE - (t2 >> 1) + product(t4, 683) - product(product(t4, t2), 23)
}

impl Draw {
    pub(super) fn map(&self, step: &Step, row: usize) -> [i32; MAP] {
        let Most { shift, rotation, scale, shear, elastic } = self.amount.most();
        let [height, width] = self.size.map(|side| side as i32 - 1);
        let [u_x, u_y, u_angle, u_scale] = draw(step, row, 0);
        let [u_shear, ..] = draw(step, row, 1);
        let angle = within(u_angle, rotation);
        let (c, s, k) = (cosine(angle), sine(angle), within(u_shear, shear));
        let scale = ONE + within(u_scale, scale);
        let mut map = [0; MAP];
        map[0] = product(scale, c);
        map[1] = product(scale, product(c, k) - s);
        map[2] = product(scale, s);
        map[3] = product(scale, product(s, k) + c);
        map[4] = width * ONE + within(u_x, shift);
        map[5] = height * ONE + within(u_y, shift);
        for (number, displacement) in map[6..].iter_mut().enumerate() {
            *displacement = within(draw(step, row, 2 + number / 4)[number % 4], elastic);
        }
        map
    }
}

impl Compute for Draw {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let maps = tensors.output_int("maps");
        for row in 0..self.batch {
            let map = self.map(&tensors.step, row);
            maps[row * MAP..][..MAP].copy_from_slice(&map.map(|number| number as u32));
        }
    }
}

/// The grid point before a pixel along one axis, and the weight of the next grid point in 1/256.
pub(super) fn between(place: usize, side: usize) -> (usize, i32) {
    let at = place * (POINTS - 1) * 256 / (side - 1).max(1);
    let point = (at >> 8).min(POINTS - 2);
    let f = (at - point * 256) as i32;
    (point, (f * f * (768 - 2 * f)) >> 16)
}

/// The displacement of a pixel along one axis, x or y.
fn elastic(map: &[u32], direction: usize, [y, x]: [usize; 2], [height, width]: [usize; 2]) -> i32 {
    let ((down, weight_y), (across, weight_x)) = (between(y, height), between(x, width));
    let at = |down: usize, across: usize| map[6 + 2 * (down * POINTS + across) + direction] as i32;
    let mixed = |a: i32, b: i32, weight: i32| (a * (256 - weight) + b * weight) >> 8;
    let above = mixed(at(down, across), at(down, across + 1), weight_x);
    let below = mixed(at(down + 1, across), at(down + 1, across + 1), weight_x);
    mixed(above, below, weight_y)
}

impl Compute for Gather {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let images = tensors.input_int("images");
        let labels = tensors.input_int("labels");
        let order = tensors.input_int("order");
        let maps = tensors.input_int("maps");
        let x = tensors.output("x");
        let targets = tensors.output_int("targets");
        let first = tensors.step.first as usize;
        let count = (tensors.step.count as usize).min(self.batch);
        let [height, width, channels] = self.shape;
        x.fill(F::zero());
        targets.fill(0);
        for row in 0..count {
            let image = order[first + row] as usize;
            targets[row] = labels[image];
            let map = &maps[row * MAP..][..MAP];
            let number = |index: usize| map[index] as i32;
            let byte = |y: i32, x: i32, channel: usize| {
                if y < 0 || x < 0 || y >= height as i32 || x >= width as i32 {
                    return 0;
                }
                let at = image * self.pixels() + (y as usize * width + x as usize) * channels + channel;
                u32::from(images[at / 4].to_le_bytes()[at % 4])
            };
            for pixel in 0..self.pixels() {
                let (to_y, to_x, channel) = (pixel / (width * channels), pixel / channels % width, pixel % channels);
                // Relative to the centre of the image, in half pixels.
                let (v_x, v_y) = (2 * to_x as i32 - (width as i32 - 1), 2 * to_y as i32 - (height as i32 - 1));
                let [from_x, from_y] = [0, 1].map(|direction| {
                    let affine = number(2 * direction) * v_x + number(2 * direction + 1) * v_y + number(4 + direction);
                    affine + elastic(map, direction, [to_y, to_x], [height, width])
                });
                let (at_x, at_y) = (from_x >> 15, from_y >> 15);
                let (f_x, f_y) = ((from_x >> 7) as u32 & 255, (from_y >> 7) as u32 & 255);
                let line = |y: i32| byte(y, at_x, channel) * (256 - f_x) + byte(y, at_x + 1, channel) * f_x;
                let sum = line(at_y) * (256 - f_y) + line(at_y + 1) * f_y;
                x[row * self.pixels() + pixel] = F::of(f64::from(sum)) * F::of(f64::from(SCALE));
            }
        }
    }
}

/// The constant 1 / (255 * 65536) of the kernel: up to rounding, it divides a byte with full weight by 255.
pub(super) const SCALE: f32 = (1.0 / (255.0 * 65536.0)) as f32;
