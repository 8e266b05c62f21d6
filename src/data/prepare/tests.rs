//! Drawn shapes of known position, size and strength.

use super::*;
use image::{GrayImage, Rgba, RgbaImage};

/// A seven: a bar on top and a stem down its right side, `size` high and wide, with strokes of width `thick`.
fn seven(x: u32, y: u32, size: u32, thick: u32) -> bool {
    x < size && y < size && (y < thick || x >= size - thick)
}

/// A seven at (left, top) with value `ink` on `paper`.
fn drawing(side: [u32; 2], place: [u32; 2], size: u32, thick: u32, ink: u8, paper: u8) -> GrayImage {
    GrayImage::from_fn(side[0], side[1], |x, y| {
        let inside = x >= place[0] && y >= place[1] && seven(x - place[0], y - place[1], size, thick);
        Luma([if inside { ink } else { paper }])
    })
}

/// The form of MNIST, at another image size.
pub(super) fn mnist(height: usize, width: usize) -> Character {
    Form::mnist([height, width, 1]).character.unwrap()
}

fn prepared(image: impl Into<DynamicImage>) -> GrayImage {
    GrayImage::from_raw(28, 28, character(&image.into(), &mnist(28, 28)).unwrap()).unwrap()
}

fn error(image: impl Into<DynamicImage>) -> String {
    character(&image.into(), &mnist(28, 28)).unwrap_err()
}

/// Largest difference of two images.
fn distance(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// Left, top, width and height of everything that is clearly ink.
fn extent(image: &GrayImage) -> (u32, u32, u32, u32) {
    let (mut left, mut top, mut right, mut bottom) = (u32::MAX, u32::MAX, 0, 0);
    for (x, y, _) in image.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] > 63) {
        (left, top) = (left.min(x), top.min(y));
        (right, bottom) = (right.max(x), bottom.max(y));
    }
    (left, top, right - left + 1, bottom - top + 1)
}

fn centre(image: &GrayImage) -> (f64, f64) {
    let mass: f64 = image.pixels().map(|p| f64::from(p.0[0])).sum();
    let moment = |at: fn(u32, u32) -> u32| -> f64 {
        image.enumerate_pixels().map(|(x, y, p)| (f64::from(at(x, y)) + 0.5) * f64::from(p.0[0])).sum()
    };
    (moment(|x, _| x) / mass, moment(|_, y| y) / mass)
}

#[test]
fn what_has_the_form_already_stays_as_it_is() {
    // The strokes' centre of mass is (13.9, 6.1) from their corner, so it is at (14.9, 14.1) here.
    let form = prepared(drawing([28, 28], [4, 4], 20, 3, 255, 0));
    assert_eq!(extent(&form), (1, 8, 20, 20));
    assert_eq!(prepared(form.clone()), form);
    assert_eq!(form, drawing([28, 28], [1, 8], 20, 3, 255, 0));
}

#[test]
fn size_place_and_paper_do_not_matter() {
    let form = prepared(drawing([28, 28], [4, 4], 20, 3, 255, 0));
    for (side, place, size, thick) in [
        ([300, 200], [130, 20], 160, 24),
        ([2000, 3000], [100, 1400], 1400, 210),
        ([40, 46], [0, 3], 40, 6),
        ([60, 40], [10, 0], 40, 6),
        ([12, 60], [2, 40], 10, 2),
    ] {
        let image = prepared(drawing(side, place, size, thick, 255, 0));
        let (.., width, height) = extent(&image);
        assert_eq!((width, height), (20, 20), "{side:?}");
        let (x, y) = centre(&image);
        assert!((13.9..15.1).contains(&x) && (13.9..15.1).contains(&y), "{side:?}: {x} {y}");
        // A shift by one pixel would make this 26.
        let mean: f64 = image.iter().zip(form.iter()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / 784.0;
        assert!(mean <= 12.0, "{side:?}: mean difference {mean}");
    }
}

#[test]
fn ink_may_be_dark_or_light_strong_or_faint() {
    let drawing = |ink, paper| prepared(drawing([90, 90], [20, 30], 50, 8, ink, paper));
    let bright = drawing(255, 0);
    assert_eq!(*bright.iter().max().unwrap(), 255);
    for (ink, paper) in [(0, 255), (60, 230), (200, 120), (100, 150), (128, 100)] {
        assert!(distance(&bright, &drawing(ink, paper)) <= 1, "{ink} on {paper}");
    }
}

#[test]
fn bold_ink_that_covers_most_of_the_image_is_still_ink() {
    let block = |ink, paper| {
        GrayImage::from_fn(30, 30, |x, y| {
            Luma([if (1..29).contains(&x) && (1..29).contains(&y) && x + y != 20 { ink } else { paper }])
        })
    };
    assert!(distance(&prepared(block(0, 255)), &prepared(block(255, 0))) <= 1);
    assert!(prepared(block(0, 255)).get_pixel(20, 20).0[0] > 200);
}

#[test]
fn colour_and_transparency_become_grey_over_white() {
    let grey = drawing([60, 60], [10, 10], 40, 6, 0, 255);
    let form = prepared(grey.clone());
    let rgb = DynamicImage::from(grey.clone()).to_rgb8();
    assert_eq!(prepared(rgb), form);
    // Black ink, transparent elsewhere: if it were not drawn over white, everything would be black.
    let rgba = RgbaImage::from_fn(60, 60, |x, y| Rgba([0, 0, 0, 255 - grey.get_pixel(x, y).0[0]]));
    assert_eq!(prepared(rgba), form);
    let blue = RgbaImage::from_fn(60, 60, |x, y| {
        if grey.get_pixel(x, y).0[0] == 0 { Rgba([30, 40, 200, 255]) } else { Rgba([250, 245, 230, 255]) }
    });
    assert!(distance(&prepared(blue), &form) <= 1);
}

/// The paper in a photograph is not uniformly grey: it must become black nevertheless, and not widen the bounding box.
#[test]
fn noise_is_not_ink() {
    let mut image = drawing([120, 120], [30, 30], 60, 9, 40, 200);
    let clean = prepared(image.clone());
    let mut state = 1_u32;
    for pixel in image.pixels_mut() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        pixel.0[0] = pixel.0[0] - 10 + (state >> 24) as u8 % 21;
    }
    let noisy = prepared(image);
    assert_eq!(extent(&noisy), extent(&clean));
    assert_eq!(*noisy.get_pixel(2, 25), Luma([0]));
}

#[test]
fn dust_on_a_large_page_is_averaged_out() {
    let mut page = drawing([2000, 2000], [600, 600], 800, 120, 30, 230);
    let clean = prepared(page.clone());
    for (x, y) in [(40, 40), (1900, 100), (1000, 1950)] {
        page.put_pixel(x, y, Luma([30]));
    }
    assert_eq!(extent(&prepared(page)), extent(&clean));
}

#[test]
fn thin_lines_on_large_paper_are_seen() {
    let image = prepared(drawing([4000, 4000], [500, 500], 3000, 8, 0, 255));
    assert_eq!(*image.iter().max().unwrap(), 255);
    assert_eq!((extent(&image).2, extent(&image).3), (20, 20));
    // A dash is wider than high, but not of zero height.
    let dash = GrayImage::from_fn(100, 100, |x, y| Luma([if y == 50 && (10..90).contains(&x) { 0 } else { 255 }]));
    assert_eq!((extent(&prepared(dash.clone())).2, extent(&prepared(dash)).3), (20, 1));
}

#[test]
fn nothing_is_an_error() {
    assert!(error(GrayImage::new(50, 40)).starts_with("shows nothing"));
    assert!(error(GrayImage::from_pixel(1, 1, Luma([9]))).starts_with("shows nothing"));
    assert!(error(RgbaImage::new(30, 30)).starts_with("shows nothing"));
    let faint = error(drawing([60, 60], [10, 10], 40, 6, 120, 140));
    assert_eq!(faint, "shows nothing: ink must differ from the background by 26 of 255, but differs by 20");
}

#[test]
fn other_sizes_follow_the_same_rule() {
    let image = DynamicImage::from(drawing([90, 90], [20, 30], 50, 8, 0, 255));
    for (height, width, longer) in [(56, 56, 40), (28, 14, 10), (32, 32, 23), (1, 1, 1), (5, 40, 4)] {
        let bytes = character(&image, &mnist(height, width)).unwrap();
        let (.., w, h) = extent(&GrayImage::from_raw(width as u32, height as u32, bytes).unwrap());
        assert_eq!((w, h), (longer, longer), "{height} x {width}");
    }
}

#[test]
fn colour_images_are_only_scaled() {
    let image = DynamicImage::from(RgbaImage::from_fn(64, 64, |x, _| {
        if x < 32 { Rgba([200, 100, 50, 255]) } else { Rgba([0, 0, 0, 0]) }
    }));
    let bytes = scene(&image, 8, 16);
    assert_eq!(bytes.len(), 8 * 16 * 3);
    assert_eq!((&bytes[..3], &bytes[15 * 3..16 * 3]), (&[200, 100, 50][..], &[255, 255, 255][..]));
}
