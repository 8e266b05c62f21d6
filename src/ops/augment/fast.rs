use super::cpu::{SCALE, between};
use super::{Draw, Gather, MAP, POINTS};
use crate::error::Result;
use crate::fast::{Fast, Team};
use crate::ops::Reference;
use crate::reference::Tensors;
use rayon::prelude::*;

/// Only a few thousand numbers, so the reference is fast enough.
impl Fast for Draw {}

impl Fast for Gather {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        if cfg!(target_endian = "big") {
            // The fast path assumes that the first byte of a word is in its lowest bits.
            self.run_f32(tensors);
            return Ok(());
        }
        let images: &[u8] = bytemuck::cast_slice(tensors.input_int("images"));
        let (labels, order) = (tensors.input_int("labels"), tensors.input_int("order"));
        let maps: &[i32] = bytemuck::cast_slice(tensors.input_int("maps"));
        let x = tensors.output("x");
        let targets = tensors.output_int("targets");
        let first = tensors.step.first as usize;
        let count = (tensors.step.count as usize).min(self.batch);
        let order = &order[first..][..count];
        let pixels = self.pixels();
        let (drawn, padding) = x.split_at_mut(count * pixels);
        padding.fill(0.0);
        let part = team.part(count, 1 + (1 << 12) / pixels);
        let rows = drawn.par_chunks_mut(part * pixels).zip(order.par_chunks(part)).zip(maps.par_chunks(part * MAP));
        rows.for_each(|((x, order), maps)| {
            for ((x, image), map) in x.chunks_exact_mut(pixels).zip(order).zip(maps.chunks_exact(MAP)) {
                self.distort(&images[*image as usize * pixels..][..pixels], map, x);
            }
        });
        let (drawn, padding) = targets.split_at_mut(count);
        padding.fill(0);
        drawn.iter_mut().zip(order).for_each(|(target, image)| *target = labels[*image as usize]);
        Ok(())
    }
}

impl Gather {
    /// Distorts one image, line by line, with the terms common to a line computed once.
    pub(super) fn distort(&self, image: &[u8], map: &[i32], to: &mut [f32]) {
        let [height, width, channels] = self.shape;
        let line_len = width * channels;
        let mixed = |a: i32, b: i32, weight: i32| (a * (256 - weight) + b * weight) >> 8;
        for (y, line) in to.chunks_exact_mut(line_len).enumerate() {
            let v_y = 2 * y as i32 - (height as i32 - 1);
            let (down, weight_y) = between(y, height);
            let start = [map[1] * v_y + map[4], map[3] * v_y + map[5]];
            for (x, pixel) in line.chunks_exact_mut(channels).enumerate() {
                let v_x = 2 * x as i32 - (width as i32 - 1);
                let (across, weight_x) = between(x, width);
                let point = 6 + 2 * (down * POINTS + across);
                let [from_x, from_y]: [i32; 2] = std::array::from_fn(|direction| {
                    let at = |offset: usize| map[point + 2 * offset + direction];
                    let (above, below) = (mixed(at(0), at(1), weight_x), mixed(at(POINTS), at(POINTS + 1), weight_x));
                    start[direction] + map[2 * direction] * v_x + mixed(above, below, weight_y)
                });
                let (at_x, at_y) = (from_x >> 15, from_y >> 15);
                let (f_x, f_y) = ((from_x >> 7) as u32 & 255, (from_y >> 7) as u32 & 255);
                let weights = [(256 - f_x) * (256 - f_y), f_x * (256 - f_y), (256 - f_x) * f_y, f_x * f_y];
                let places = [(at_y, at_x), (at_y, at_x + 1), (at_y + 1, at_x), (at_y + 1, at_x + 1)];
                for (channel, pixel) in pixel.iter_mut().enumerate() {
                    let mut sum = 0;
                    for ((y, x), weight) in places.into_iter().zip(weights) {
                        if (0..height as i32).contains(&y) && (0..width as i32).contains(&x) {
                            sum += weight * u32::from(image[y as usize * line_len + x as usize * channels + channel]);
                        }
                    }
                    *pixel = sum as f32 * SCALE;
                }
            }
        }
    }
}
