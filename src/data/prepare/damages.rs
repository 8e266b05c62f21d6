//! The sample digits, damaged as in users' photographs. They must give nearly the same image as the clean picture.

use image::{DynamicImage, GrayImage, ImageBuffer, LumaA, Rgb, RgbImage};

use super::character;
use super::grid::Grid;

/// Ink of a sample digit, from 0 to 1, 200 cells high or wide in the centre of 400 x 400.
type Ink = ImageBuffer<image::Luma<f32>, Vec<f32>>;

const SIDE: u32 = 400;

fn ink(name: &str) -> Ink {
    let path = format!("{}/assets/digits/{name}.png", env!("CARGO_MANIFEST_DIR"));
    let drawn = image::open(path).unwrap().into_luma8();
    let paper = f32::from(drawn.get_pixel(0, 0).0[0]);
    let whole = Ink::from_fn(drawn.width(), drawn.height(), |x, y| {
        image::Luma([((f32::from(drawn.get_pixel(x, y).0[0]) - paper).abs() / 180.0 - 0.15).clamp(0.0, 1.0)])
    });
    let scale = 200.0 / whole.width().max(whole.height()) as f32;
    let (width, height) = ((whole.width() as f32 * scale) as u32, (whole.height() as f32 * scale) as u32);
    let small = image::imageops::resize(&whole, width, height, image::imageops::FilterType::Triangle);
    let mut sheet = Ink::new(SIDE, SIDE);
    image::imageops::replace(&mut sheet, &small, i64::from((SIDE - width) / 2), i64::from((SIDE - height) / 2));
    sheet
}

/// A grey image in which `grey` gives the value at each position from its ink.
fn sheet(ink: &Ink, grey: impl Fn(u32, u32, f32) -> f32) -> DynamicImage {
    GrayImage::from_fn(SIDE, SIDE, |x, y| {
        image::Luma([grey(x, y, ink.get_pixel(x, y).0[0]).round().clamp(0.0, 255.0) as u8])
    })
    .into()
}

fn coloured(ink: &Ink, paper: [f32; 3], pen: [f32; 3]) -> DynamicImage {
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let ink = ink.get_pixel(x, y).0[0];
        Rgb(std::array::from_fn(|c| (paper[c] + (pen[c] - paper[c]) * ink).round() as u8))
    })
    .into()
}

/// Dark ink on light paper.
fn clean(ink: f32) -> f32 {
    235.0 - 205.0 * ink
}

/// A pseudo-random number from 0 to 1 for each position.
fn chance(x: u32, y: u32) -> f32 {
    let mut state = (x.wrapping_mul(0x9e37_79b9) ^ y.wrapping_mul(0x85eb_ca6b)).wrapping_add(77);
    for _ in 0..3 {
        state = (state ^ (state >> 15)).wrapping_mul(0x2c1b_3c6d);
    }
    (state >> 8) as f32 / (1 << 24) as f32
}

fn mnist() -> crate::data::form::Character {
    super::tests::mnist(28, 28)
}

/// Mean difference of two prepared images, out of 255, after smoothing both and for the best shift by at most a pixel.
/// A centre of mass that is off by a hundredth of a pixel may shift a character by one, and a bounding box that is off
/// by a fraction of a pixel changes the grey along all outlines, but neither changes what a network reads.
fn distance(a: &[u8], b: &[u8]) -> f64 {
    let smoothed = |bytes: &[u8], dx: isize, dy: isize| {
        let mut grid = Grid { width: 28, height: 28, cells: vec![0.0; 28 * 28] };
        for y in 0..28_usize {
            for x in 0..28_usize {
                let (from_x, from_y) = (x.wrapping_add_signed(dx), y.wrapping_add_signed(dy));
                if from_x < 28 && from_y < 28 {
                    grid[(x, y)] = f32::from(bytes[from_y * 28 + from_x]);
                }
            }
        }
        grid.smoothed()
    };
    let whole = smoothed(a, 0, 0);
    let shifts = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy)));
    let differences = shifts.map(|(dx, dy)| whole.zip(&smoothed(b, dx, dy), |a, b| f64::from((a - b).abs())).cells);
    differences.map(|cells| cells.iter().sum::<f64>() / cells.len() as f64).fold(f64::INFINITY, f64::min)
}

/// Prepares the damaged digits and compares them with the clean ones.
fn read(damage: impl Fn(&Ink) -> DynamicImage) {
    for name in ["two", "four", "eight"] {
        let ink = ink(name);
        let whole = character(&sheet(&ink, |_, _, ink| clean(ink)), &mnist()).unwrap();
        let other = character(&damage(&ink), &mnist()).unwrap_or_else(|error| panic!("{name}: {error}"));
        // The most similar sample digits, three and eight, differ by 13.
        let distance = distance(&whole, &other);
        assert!(distance < 10.0, "{name}: mean difference {distance}");
    }
}

/// The error for a picture without a readable character.
fn refused(picture: &DynamicImage) -> String {
    character(picture, &mnist()).unwrap_err()
}

#[test]
fn frames_and_dark_edges_are_not_ink() {
    let framed = |wide: [u32; 4], grey: f32| {
        move |ink: &Ink| {
            sheet(ink, |x, y, ink| {
                let [left, top, right, bottom] = wide;
                let inside = x >= left && y >= top && x < SIDE - right && y < SIDE - bottom;
                if inside { clean(ink) } else { grey }
            })
        }
    };
    read(framed([4; 4], 20.0));
    read(framed([40; 4], 25.0));
    read(framed([30, 0, 0, 0], 90.0));
    read(framed([0, 0, 25, 40], 15.0));
    read(framed([20, 30, 30, 0], 15.0));
    // The corners of a picture that was rotated.
    read(|ink| {
        sheet(ink, |x, y, ink| if x + 3 * y < 160 || (400 - x) + 2 * (400 - y) < 150 { 0.0 } else { clean(ink) })
    });
}

#[test]
fn ruled_and_squared_paper_is_not_ink() {
    for grey in [160.0, 60.0] {
        read(|ink| sheet(ink, |_, y, ink| if y % 45 < 2 { clean(ink).min(grey) } else { clean(ink) }));
        read(|ink| sheet(ink, |x, y, ink| if y % 45 < 2 || x % 45 < 2 { clean(ink).min(grey) } else { clean(ink) }));
    }
    // Slanted lines.
    read(|ink| sheet(ink, |x, y, ink| if (y + x / 9) % 50 < 2 { clean(ink).min(100.0) } else { clean(ink) }));
}

#[test]
fn dirt_and_noise_are_not_ink() {
    let specks = [(20, 30), (370, 44), (60, 350), (333, 390), (200, 12)];
    let speck = move |x: u32, y: u32, radius: u32| {
        specks.iter().any(|(a, b)| x.abs_diff(*a).pow(2) + y.abs_diff(*b).pow(2) <= radius.pow(2))
    };
    read(|ink| sheet(ink, |x, y, ink| if speck(x, y, 2) { 20.0 } else { clean(ink) }));
    read(|ink| sheet(ink, |x, y, ink| if speck(x, y, 0) { 0.0 } else { 235.0 - 40.0 * ink }));
    read(|ink| sheet(ink, |x, y, ink| if chance(x, y) < 0.001 { 0.0 } else { clean(ink) }));
    read(|ink| sheet(ink, |x, y, ink| clean(ink) + 100.0 * (chance(x, y) - 0.5)));
    // The holes of a ring binder.
    read(|ink| {
        sheet(ink, |x, y, ink| {
            let hole = [80, 320].iter().any(|at| x.abs_diff(25).pow(2) + y.abs_diff(*at).pow(2) < 200);
            if hole { 0.0 } else { clean(ink) }
        })
    });
}

#[test]
fn light_and_shade_are_not_ink() {
    read(|ink| sheet(ink, |x, _, ink| clean(ink) - x as f32 / 4.0));
    read(|ink| sheet(ink, |x, y, ink| clean(ink) * if x + y / 3 < 230 { 0.6 } else { 1.0 }));
    read(|ink| {
        sheet(ink, |x, y, ink| {
            let far = (x as f32 - 200.0).hypot(y as f32 - 200.0) / 283.0;
            clean(ink) * (1.0 - 0.7 * far * far)
        })
    });
}

#[test]
fn any_colour_that_differs_is_ink() {
    read(|ink| coloured(ink, [255.0, 255.0, 255.0], [255.0, 255.0, 0.0]));
    read(|ink| coloured(ink, [0.0, 0.0, 0.0], [0.0, 0.0, 255.0]));
    read(|ink| coloured(ink, [60.0, 120.0, 70.0], [150.0, 60.0, 80.0]));
    for grey in [0, 255] {
        read(|ink| {
            let cells = ink.pixels().flat_map(|ink| [grey, (ink.0[0] * 255.0) as u8]).collect();
            ImageBuffer::<LumaA<u8>, _>::from_raw(SIDE, SIDE, cells).unwrap().into()
        });
    }
}

#[test]
fn a_digit_may_be_small_cut_tightly_broken_or_at_the_edge() {
    let small = |ink: &Ink| {
        let digit = sheet(ink, |_, _, ink| clean(ink)).resize_exact(160, 160, image::imageops::FilterType::Triangle);
        let mut large = GrayImage::from_pixel(3000, 2000, image::Luma([235]));
        image::imageops::replace(&mut large, &digit.into_luma8(), 1800, 1300);
        large.into()
    };
    read(small);
    let tight = |ink: &Ink| {
        let clear = |x: u32, y: u32| ink.get_pixel(x, y).0[0] > 0.3;
        let columns: Vec<u32> = (0..SIDE).filter(|x| (0..SIDE).any(|y| clear(*x, y))).collect();
        let rows: Vec<u32> = (0..SIDE).filter(|y| (0..SIDE).any(|x| clear(x, *y))).collect();
        let (width, height) = (columns.len() as u32, rows.len() as u32);
        sheet(ink, |_, _, ink| clean(ink)).crop_imm(columns[0], rows[0], width, height)
    };
    read(tight);
    read(|ink| sheet(ink, |_, y, ink| if (196..202).contains(&y) { 235.0 } else { clean(ink) }));
    read(|ink| {
        let top = ink.enumerate_pixels().filter(|(_, _, ink)| ink.0[0] > 0.3).map(|(_, y, _)| y).min().unwrap();
        sheet(ink, |_, _, ink| clean(ink)).crop_imm(0, top, SIDE, SIDE - top)
    });
}

#[test]
fn what_cannot_be_read_is_refused() {
    let none = Ink::new(SIDE, SIDE);
    assert!(refused(&sheet(&none, |x, y, _| 200.0 + 40.0 * (chance(x, y) - 0.5))).starts_with("shows nothing"));
    // A dark half, a ball, and two digits side by side.
    refused(&sheet(&none, |x, _, _| if x < 200 { 40.0 } else { 220.0 }));
    refused(&sheet(&none, |x, y, _| if x.abs_diff(200).pow(2) + y.abs_diff(200).pow(2) < 8000 { 30.0 } else { 220.0 }));
    let (two, eight) = (ink("two"), ink("eight"));
    let both = sheet(&none, |x, y, _| {
        clean(if x < 200 { two.get_pixel(x + 100, y).0[0] } else { eight.get_pixel(x - 100, y).0[0] })
    });
    assert!(refused(&both).starts_with("shows several things"));
}
