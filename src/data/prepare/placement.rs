//! Where a cropped character goes in the image that the network sees.
//!
//! MNIST's own recipe: scaled to fit 20 of 28 pixels with its proportions kept, and placed so that its centre of mass is
//! the centre of the image.

use image::imageops::{self, FilterType};
use image::{GrayImage, Luma};

use super::Plane;

/// The character as H x W bytes, its strongest ink 255.
pub fn placed(cropped: &Plane, height: u32, width: u32) -> Vec<u8> {
    let (ink_width, ink_height) = cropped.dimensions();

    // 20 of 28, in whichever direction is tighter.
    let fit = |target: u32, size: u32| f64::from(target) * 20.0 / 28.0 / f64::from(size);
    let scale = fit(width, ink_width).min(fit(height, ink_height));
    let scaled = |size: u32| ((f64::from(size) * scale).round() as u32).max(1);
    let small = imageops::resize(cropped, scaled(ink_width), scaled(ink_height), FilterType::CatmullRom);
    centred(&small, height, width)
}

fn peak(ink: &Plane) -> f32 {
    ink.as_raw().iter().copied().fold(0.0, f32::max)
}

/// The character on an empty image, its strongest ink 255.
///
/// Its centre of mass is shifted by whole pixels to the middle or less than one pixel beyond, to the right and below:
/// so lie all of MNIST's digits. It stays whole, though.
fn centred(ink: &Plane, height: u32, width: u32) -> Vec<u8> {
    let (mut mass, mut x_mass, mut y_mass) = (0.0, 0.0, 0.0);
    for (x, y, pixel) in ink.enumerate_pixels() {
        let value = f64::from(pixel.0[0]);
        mass += value;
        x_mass += value * (f64::from(x) + 0.5);
        y_mass += value * (f64::from(y) + 0.5);
    }
    let offset = |whole: u32, part: u32, moment: f64| {
        (f64::from(whole) / 2.0 - moment / mass).ceil().clamp(0.0, f64::from(whole.saturating_sub(part))) as u32
    };
    let (left, top) = (offset(width, ink.width(), x_mass), offset(height, ink.height(), y_mass));

    let strongest = peak(ink);
    let mut canvas = GrayImage::new(width, height);
    for (x, y, pixel) in ink.enumerate_pixels() {
        canvas.put_pixel(left + x, top + y, Luma([(pixel.0[0] / strongest * 255.0).round() as u8]));
    }
    canvas.into_raw()
}
