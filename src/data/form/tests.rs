use super::*;
use image::Luma;
use image::imageops;

/// A random number generator.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(bound)) as u32
    }
}

/// A character that touches all four sides of its box, higher than wide, with its centre of mass anywhere.
fn character(draw: &mut Draw) -> Plane {
    let (height, width) = (40 + draw.below(20), 12 + draw.below(36));
    let (row, column) = (draw.below(height - 8), draw.below(width - 8));
    let bars = [(row, 8), (column, 8)];
    Plane::from_fn(width, height, |x, y| {
        let within = |(from, thick): (u32, u32), at: u32| (from..from + thick).contains(&at);
        Luma([f32::from(u8::from(within(bars[0], y) || within(bars[1], x)))])
    })
}

/// A set of such characters in the given form.
fn set(form: &Character) -> Dataset {
    let mut draw = Draw(7);
    let images: Vec<u8> = (0..300).flat_map(|_| form.place(&character(&mut draw))).collect();
    let [height, width] = form.image;
    Dataset::new(images, vec![0; 300], [height, width, 1], 2).unwrap().named("train")
}

fn measured(set: &Dataset) -> Character {
    Form::measure(set, 255, false).character.expect("it has a plain background")
}

fn mnist() -> Character {
    Character::mnist([28, 28])
}

/// The form of scikit-learn's digits: as high as the image.
fn eight() -> Character {
    Character {
        image: [8, 8],
        ink: 240,
        size: [8.0, 7.0],
        least: [8.0, 3.0],
        most: [8.0, 7.0],
        anchor: [Anchor::Box, Anchor::Mass],
        centre: [4.0, 4.2],
        ..mnist()
    }
}

/// A form in which every character fills the image.
fn full() -> Character {
    let all = [28.0; 2];
    Character { size: all, least: all, most: all, anchor: [Anchor::Box; 2], centre: [14.0; 2], ..mnist() }
}

/// The character of an image as input for [`Character::place`].
fn ink(image: &[u8], form: &Character) -> Plane {
    let [height, width] = form.image.map(|side| side as u32);
    let contrast = f32::from(form.ink) - f32::from(form.background);
    let plane = Plane::from_fn(width, height, |x, y| {
        Luma([(f32::from(image[(y * width + x) as usize]) - f32::from(form.background)) / contrast])
    });
    let inked: Vec<(u32, u32)> =
        plane.enumerate_pixels().filter(|(.., ink)| ink.0[0] >= 0.25).map(|(x, y, _)| (x, y)).collect();
    let range = |of: fn(&(u32, u32)) -> u32| {
        let (first, last) = (inked.iter().map(of).min().unwrap(), inked.iter().map(of).max().unwrap());
        (first, last - first + 1)
    };
    let ((left, width), (top, height)) = (range(|place| place.0), range(|place| place.1));
    imageops::crop_imm(&plane, left, top, width, height).to_image()
}

#[test]
fn mnist_is_recognised() {
    for image in [[28, 28], [32, 32], [56, 56]] {
        let mnist = Character::mnist(image);
        assert_eq!(measured(&set(&mnist)), mnist);
    }
    let text = "ink 255 on 0, fitted to 20 x 20 of 28 x 28 pixels, centred by mass";
    assert_eq!(Form::mnist([28, 28, 1]).to_string(), text);
    assert_eq!(Form::mnist([28, 28, 3]).character, None);
}

/// The built-in digits are meant to look like MNIST's.
#[test]
fn so_are_the_builtin_digits() {
    let (images, labels) = crate::data::builtin::digits(1000, 3);
    let set = Dataset::new(images, labels, [28, 28, 1], 10).unwrap();
    assert_eq!(measured(&set), mnist());
}

#[test]
fn characters_that_fill_the_image_are_measured() {
    let all = measured(&set(&full()));
    assert_eq!(all, full());
    assert_eq!(all.to_string(), "ink 255 on 0, stretched to 28 x 28 of 28 x 28 pixels, centred by its box");
    let high = measured(&set(&eight()));
    assert_eq!((high.ink, high.least[0], high.most, high.anchor[0]), (240, 8.0, [8.0, 7.0], Anchor::Box));
    assert!(high.least[1] <= 4.0 && high.size == [8.0, 7.0], "{high:?}");
}

#[test]
fn ink_may_be_dark_or_weak() {
    for (background, ink) in [(255, 0), (0, 16), (0, 1), (200, 40), (90, 255)] {
        for form in [mnist(), full(), eight()] {
            let form = Character { background, ink, ..form };
            let found = measured(&set(&form));
            assert_eq!((found.background, found.ink), (background, ink), "{found:?}");
            assert_eq!(found.most, form.most);
        }
    }
}

/// Images that already have the form keep it: `predict` gives the network the same input as training did.
#[test]
fn images_of_a_set_stay_as_they_are() {
    let dark = Character { background: 255, ink: 0, ..mnist() };
    let small = Character { size: [12.0, 12.0], most: [12.0, 12.0], ..mnist() };
    let middle = Character { anchor: [Anchor::Box; 2], centre: [14.0; 2], ..mnist() };
    for form in [mnist(), dark, small, middle, full(), eight()] {
        let (set, found) = (set(&form), measured(&set(&form)));
        let same = |index: &usize| {
            let image = set.image(*index);
            let again = found.place(&ink(image, &form));
            image.iter().zip(&again).all(|(a, b)| a.abs_diff(*b) <= 2)
        };
        let kept = (0..set.len()).filter(same).count();
        assert!(kept * 100 >= set.len() * 90, "{kept} of {} stay: {found:?}", set.len());
    }
}

/// An image with the form is left unchanged; one with another position, size or polarity has to be prepared.
#[test]
fn an_image_that_has_the_form_is_known() {
    let dark = Character { background: 255, ink: 0, ..mnist() };
    for form in [mnist(), dark.clone(), eight()] {
        let set = set(&form);
        let met = (0..set.len()).filter(|index| form.is_met_by(set.image(*index))).count();
        assert!(met * 100 >= set.len() * 95, "{met} of {}: {form:?}", set.len());
        assert!(!Character { transposed: true, ..form.clone() }.is_met_by(set.image(0)));
        assert!(!form.is_met_by(&vec![form.background; set.image(0).len()]));
    }
    let others = [
        dark,
        Character { size: [10.0; 2], most: [10.0; 2], ..mnist() },
        Character { centre: [14.5, 11.0], ..mnist() },
        Character { ink: 60, ..mnist() },
        full(),
    ];
    for other in others {
        let set = set(&other);
        assert!((0..set.len()).all(|index| !mnist().is_met_by(set.image(index))), "{other:?}");
    }
    // Ink that covers less than the paper must not be taken for paper.
    let paper = set(&Character { background: 255, ink: 0, ..full() });
    let is_thin = |index: &usize| paper.image(*index).iter().filter(|byte| **byte < 128).count() < 784 * 2 / 5;
    let thin: Vec<usize> = (0..paper.len()).filter(is_thin).collect();
    assert!(thin.len() > 100 && thin.iter().all(|index| !full().is_met_by(paper.image(*index))));
}

/// Otherwise characters would be enlarged to the size of the largest.
#[test]
fn characters_of_all_sizes_get_the_usual_one() {
    let mut draw = Draw(3);
    let images = (0..300)
        .flat_map(|_| {
            let size = [8.0 + draw.below(13) as f32; 2];
            Character { size, most: size, ..mnist() }.place(&character(&mut draw))
        })
        .collect();
    let found = measured(&set(&mnist()).with_images(images).unwrap());
    assert!((13.0..=15.0).contains(&found.size[0]) && found.most[0] == 20.0, "{found:?}");
}

#[test]
fn photographs_of_things_are_only_scaled() {
    let mut draw = Draw(5);
    let images: Vec<u8> = (0..300)
        .flat_map(|_| {
            let [from, right, down, beyond] = [(); 4].map(|()| draw.below(256));
            let mix = |from: u32, to: u32, part: u32| (from * (27 - part) + to * part) / 27;
            let pixel = |at: u32| mix(mix(from, right, at % 28), mix(down, beyond, at % 28), at / 28) as u8;
            (0..784).map(pixel).collect::<Vec<_>>()
        })
        .collect();
    for shape in [[28, 28, 1], [14, 14, 4]] {
        let slopes = Dataset::new(images.clone(), vec![0; 300], shape, 2).unwrap();
        assert_eq!(Form::measure(&slopes, 255, false).character, None);
    }
    let form = Form::measure(&set(&mnist()).with_images(vec![9; 300 * 784]).unwrap(), 255, false);
    assert_eq!(form.to_string(), "only scaled to the size of the network's images");
}

#[test]
fn emnist_is_turned() {
    let turned = Character { transposed: true, ..mnist() };
    let set = set(&turned);
    assert!(Form::measure(&set, 255, true).character.unwrap().transposed);
    // Files with that name may already be upright, and other data sets are never transposed.
    assert!(!Form::measure(&set, 255, false).character.unwrap().transposed);
    assert!(!Form::measure(&self::set(&mnist()), 255, true).character.unwrap().transposed);
    // The image of the first character, and the same character upright.
    let (lying, upright) = (set.image(0), mnist().place(&character(&mut Draw(7))));
    assert!((0..784).all(|at| lying[at].abs_diff(upright[at % 28 * 28 + at / 28]) <= 2));
}

#[test]
fn sets_that_look_different_are_remarked_on() {
    let form = |character| Form { full_scale: 255, character: Some(character) };
    let remark = |there: Character, here: Character| form(there).receive(&mut set(&here));
    assert_eq!(remark(mnist(), mnist()), None);
    assert_eq!(remark(mnist(), Character { ink: 200, ..mnist() }), None);
    let said = remark(Character { ink: 240, ..mnist() }, Character { ink: 16, ..mnist() }).unwrap();
    assert!(
        said.starts_with("the train images are ink 16 on 0, but the network was trained on ink 240 on 0"),
        "{said}"
    );
    assert!(remark(mnist(), Character { background: 255, ink: 0, ..mnist() }).is_some());
    // A set that is scaled as the training images were looks like them.
    let mut weak = set(&Character { ink: 16, ..mnist() });
    let scaled = Form { full_scale: 16, character: Some(mnist()) };
    assert_eq!(scaled.receive(&mut weak), None);
    assert_eq!(weak.images().iter().max(), Some(&255));
}

#[test]
fn forms_from_files_are_checked() {
    let good = Form { full_scale: 16, character: Some(eight()) };
    let text = serde_json::to_string(&good).unwrap();
    assert_eq!(serde_json::from_str::<Form>(&text).unwrap(), good);
    good.validate([8, 8, 1]).unwrap();
    for image in [[1, 1], [28, 28], [3, 200]] {
        Form::mnist([image[0], image[1], 1]).validate([image[0], image[1], 1]).unwrap();
    }
    let said =
        |character: Character| Form { full_scale: 255, character: Some(character) }.validate([8, 8, 1]).unwrap_err();
    assert_eq!(
        Form { full_scale: 0, character: None }.validate([8, 8, 1]).unwrap_err().split(':').next(),
        Some("full_scale")
    );
    assert_eq!(said(mnist()), "image: expected 8 x 8, got 28 x 28");
    assert!(said(Character { ink: 0, ..eight() }).starts_with("ink: "));
    for size in [[0.0, 5.0], [9.0, 5.0], [f32::NAN, 5.0], [5.0, f32::INFINITY], [-1.0, 5.0]] {
        assert!(said(Character { size, ..eight() }).starts_with("least, size, most: expected pixels up to 8"));
    }
    assert!(said(Character { least: [8.0, 7.5], ..eight() }).starts_with("least: expected at most 7"));
    for centre in [[4.0, 20.0], [f32::NAN, 4.0], [4.0, -1.0]] {
        assert!(said(Character { centre, ..eight() }).starts_with("centre: "));
    }
    assert!(good.validate([8, 8, 3]).unwrap_err().starts_with("character: not supported for images with 3 channels"));
}
