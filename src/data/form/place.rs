//! Gives a picture's character the form of the training images.

use super::{Anchor, Character, Form, centre_of_mass, corner};
use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};

/// Ink, from 0 (none) to 1.
pub(crate) type Plane = ImageBuffer<Luma<f32>, Vec<f32>>;

impl Form {
    /// Like [`Form::rescale`], unless the picture has brighter pixels than files with this scale can have.
    pub(crate) fn rescale_picture(&self, bytes: &mut [u8]) {
        if bytes.iter().all(|byte| *byte <= self.full_scale) {
            self.rescale(bytes);
        }
    }
}

impl Character {
    /// The character in this form, as H x W bytes. `ink` is only the character, tightly cropped.
    pub(crate) fn place(&self, ink: &Plane) -> Vec<u8> {
        let turned;
        let ink = if self.transposed {
            turned = Plane::from_fn(ink.height(), ink.width(), |x, y| *ink.get_pixel(y, x));
            &turned
        } else {
            ink
        };
        let [height, width] = self.scaled([ink.height(), ink.width()]);
        let ink = imageops::resize(ink, width, height, FilterType::CatmullRom);
        let [top, left] = self.corner(&ink);
        let strongest = ink.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let [background, full] = [self.background, self.ink].map(f32::from);
        let [rows, columns] = self.image;
        let mut canvas = vec![self.background; rows * columns];
        for (x, y, pixel) in ink.enumerate_pixels() {
            let share = pixel.0[0] / strongest;
            canvas[(top + y as usize) * columns + left + x as usize] =
                (background + share * (full - background)).round() as u8;
        }
        canvas
    }

    /// Height and width to which a character of this size is scaled.
    fn scaled(&self, size: [u32; 2]) -> [u32; 2] {
        let fit = |axis: usize| f64::from(self.size[axis]) / f64::from(size[axis]);
        let scale = fit(0).min(fit(1));
        [0, 1].map(|axis| {
            let scaled = f64::from(size[axis]) * scale;
            let within = scaled.clamp(f64::from(self.least[axis]), f64::from(self.most[axis]));
            (within.round() as u32).clamp(1, self.image[axis].max(1) as u32)
        })
    }

    /// Row and column of the upper left corner of a character that is already scaled. All of it stays inside the image.
    fn corner(&self, ink: &Plane) -> [usize; 2] {
        let mass = centre_of_mass(ink.enumerate_pixels().map(|(x, y, pixel)| ([y, x], pixel.0[0])));
        let size = [ink.height(), ink.width()];
        [0, 1].map(|axis| {
            let anchor = match self.anchor[axis] {
                Anchor::Mass => mass[axis],
                Anchor::Box => f64::from(size[axis]) / 2.0,
            };
            let free = self.image[axis].saturating_sub(size[axis] as usize);
            corner(self.centre[axis], anchor, free)
        })
    }
}
