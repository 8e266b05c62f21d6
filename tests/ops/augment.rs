use crate::common::agrees;
use shadegrad::ops::Step;
use shadegrad::ops::augment::{Augment, Draw, Gather, MAP, POINTS};

const ONE: f64 = 16384.0;

fn step(number: u32) -> Step {
    Step { seed_low: 3, seed_high: 4, step: number, count: u32::MAX, ..Step::default() }
}

/// The maps of many rows, as signed numbers.
fn maps(draw: &Draw, of: Step) -> Vec<[f64; MAP]> {
    let outputs = draw.case(of).reference::<f64>();
    let signed = |chunk: &[f64]| std::array::from_fn(|i| f64::from(chunk[i] as u32 as i32));
    outputs[0].1.chunks_exact(MAP).map(signed).collect()
}

#[test]
fn every_device_draws_the_same_maps() {
    agrees("augment.draw");
}

#[test]
fn every_device_draws_the_same_images() {
    agrees("augment.gather");
}

/// The affine part is scale * rotation * shear, with numbers within their ranges: checked by decomposing it with f64
/// formulas, which do not depend on the fixed-point format. The numbers are uniformly distributed: mean and variance
/// within six standard deviations.
#[test]
fn maps_follow_the_options() {
    let amount = Augment { shift: 2.0, rotation: 20.0, scale: 0.2, shear: 0.3, elastic: 1.5 };
    let batch = 4000;
    let mut drawn: [Vec<f64>; 6] = Default::default();
    for map in maps(&Draw { batch, size: [28, 20], amount }, step(9)) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| map[i] / ONE);
        // Columns of scale * R(angle) * [[1, shear], [0, 1]].
        let scale = a.hypot(c);
        let angle = c.atan2(a);
        let shear = (a * b + c * d) / (scale * scale);
        assert!(((a * d - b * c) - scale * scale).abs() < 1e-3, "the determinant of a rotation and a shear is 1");
        let shift = [(map[4] - 19.0 * ONE) / (2.0 * ONE), (map[5] - 27.0 * ONE) / (2.0 * ONE)];
        let found = [shift[0] / 2.0, shift[1] / 2.0, angle.to_degrees() / 20.0, (scale - 1.0) / 0.2, shear / 0.3];
        found.iter().zip(&mut drawn).for_each(|(share, all)| all.push(*share));
        drawn[5].extend(map[6..].iter().map(|number| number / (2.0 * ONE) / 1.5));
    }
    for (what, shares) in ["shift x", "shift y", "rotation", "scale", "shear", "elastic"].iter().zip(drawn) {
        let count = shares.len() as f64;
        // The fixed-point format has a resolution of 1/2048 of a share, and the series an error of 1e-3 of an angle.
        assert!(shares.iter().all(|share| share.abs() <= 1.004), "{what}");
        let mean = shares.iter().sum::<f64>() / count;
        let variance = shares.iter().map(|share| share * share).sum::<f64>() / count;
        assert!(mean.abs() < 6.0 * (1.0 / 3.0 / count).sqrt() + 1e-3, "{what}: mean {mean}");
        // The fourth moment of a uniform distribution on [-1, 1) is 1/5.
        let deviation = ((1.0 / 5.0 - 1.0 / 9.0) / count).sqrt();
        assert!((variance - 1.0 / 3.0).abs() < 6.0 * deviation + 2e-3, "{what}: variance {variance}");
    }
}

#[test]
fn rows_steps_and_seeds_draw_differently() {
    let draw = Draw { batch: 3, size: [28, 28], amount: Augment::DIGITS };
    let mut all = maps(&draw, step(1));
    all.extend(maps(&draw, step(2)));
    all.extend(maps(&draw, Step { seed_high: 5, ..step(1) }));
    let differ = |a: &[f64; MAP], b: &[f64; MAP]| a.iter().zip(b).filter(|(a, b)| a != b).count();
    for i in 0..all.len() {
        for j in 0..i {
            assert!(differ(&all[i], &all[j]) > MAP - 8, "{i} and {j}");
        }
    }
}

/// The identity map.
fn identity([height, width]: [usize; 2]) -> [i32; MAP] {
    let mut map = [0; MAP];
    (map[0], map[3]) = (16384, 16384);
    (map[4], map[5]) = ((width as i32 - 1) * 16384, (height as i32 - 1) * 16384);
    map
}

/// One image under one map, in units of 1/255.
fn distorted(bytes: &[u8], shape: [usize; 3], map: [i32; MAP]) -> Vec<f64> {
    let op = Gather { batch: 1, shape, images: 1 };
    let maps = map.map(|number| number as u32).to_vec();
    let case = op.case(bytes, maps, [vec![7], vec![0]], Step { count: 1, ..Step::default() });
    let outputs = case.reference::<f64>();
    assert_eq!(outputs[1].1, [7.0]);
    outputs[0].1.iter().map(|x| (x * 255.0 * 1e4).round() / 1e4).collect()
}

#[test]
fn reference_by_hand() {
    let image = [10, 20, 30, 40, 50, 60, 70, 80, 90];
    let shape = [3, 3, 1];
    let plain = identity([3, 3]);
    assert_eq!(distorted(&image, shape, plain), image.map(f64::from));
    // Read from one pixel to the right and two up.
    let mut moved = plain;
    (moved[4], moved[5]) = (plain[4] + 32768, plain[5] - 65536);
    assert_eq!(distorted(&image, shape, moved), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 20.0, 30.0, 0.0]);
    // Read from half a pixel to the left: the mean of two pixels, and of the first pixel and the outside.
    moved = plain;
    moved[4] -= 16384;
    assert_eq!(distorted(&image, shape, moved), [5.0, 15.0, 25.0, 20.0, 45.0, 55.0, 35.0, 75.0, 85.0]);
    // A quarter turn: x from y, y from -x.
    let mut turned = plain;
    (turned[0], turned[1], turned[2], turned[3]) = (0, -16384, 16384, 0);
    assert_eq!(distorted(&image, shape, turned), [30.0, 60.0, 90.0, 20.0, 50.0, 80.0, 10.0, 40.0, 70.0]);
    // Twice as far from the centre.
    let mut far = plain;
    (far[0], far[3]) = (32768, 32768);
    assert_eq!(distorted(&image, shape, far), [0.0, 0.0, 0.0, 0.0, 50.0, 0.0, 0.0, 0.0, 0.0]);
    // Two channels stay separate.
    let mut moved = identity([1, 2]);
    moved[4] += 32768;
    assert_eq!(distorted(&[1, 2, 3, 4], [1, 2, 2], moved), [3.0, 4.0, 0.0, 0.0]);
}

/// A control point moves its neighbourhood: fully at the point, smoothly less towards the next point, and not beyond.
#[test]
fn a_point_of_the_grid_bends_its_surroundings() {
    // A ramp, so that the value of a pixel shows where it was read.
    let side = 17;
    let ramp: Vec<u8> = (0..side * side).map(|i| (i % side) as u8 * 10).collect();
    let mut map = identity([side, side]);
    // The centre point, two pixels to the right.
    map[6 + 2 * (2 * POINTS + 2)] = 65536;
    let got = distorted(&ramp, [side, side, 1], map);
    let smooth = |f: f64| f * f * (3.0 - 2.0 * f);
    for y in 0..side {
        for x in 0..side {
            let weight = |at: usize| smooth((1.0 - (at as f64 - 8.0).abs() / 4.0).max(0.0));
            let from = x as f64 + 2.0 * weight(x) * weight(y);
            let found = got[y * side + x];
            assert!((found - 10.0 * from).abs() < 0.15, "{y}, {x}: {found} of {}", 10.0 * from);
        }
    }
}

#[test]
fn options_are_read_and_refused() {
    let read = |text: &str| text.parse::<Augment>();
    assert_eq!(read("digits"), Ok(Augment::DIGITS));
    assert_eq!(read("shift=2, rotation=10"), Ok(Augment { shift: 2.0, rotation: 10.0, ..Augment::default() }));
    assert_eq!(read(&Augment::DIGITS.to_string()), Ok(Augment::DIGITS));
    for (text, says) in [
        ("shift", "expected digits, or any of"),
        ("turn=3", "got `turn=3`"),
        ("shift=much", "shift: expected a number, got `much`"),
        ("shift=1,rotation=2, shift=1", "shift is given twice"),
        ("shift=16", "shift must be from 0 to 15, got 16"),
        ("rotation=-1", "rotation must be from 0 to 45, got -1"),
        ("scale=nan", "scale must be from 0 to 0.9, got NaN"),
        ("shear=inf", "shear must be from 0 to 1, got inf"),
    ] {
        let message = read(text).unwrap_err();
        assert!(message.contains(says), "{text}: {message}");
    }
}
