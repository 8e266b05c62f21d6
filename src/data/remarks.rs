//! Warnings about oddities of a data set that would otherwise be noticed only by a network that learns nothing: pixels
//! that use a small part of their range, labels without images. Each warning says what was found and what to do.

use super::{DataPair, Dataset};
use crate::error::{Error, Result};
use crate::table::grouped;
use std::ops::RangeInclusive;

/// Pixels should cover at least this much of the range from 0 to 255.
const LEAST_RANGE: u8 = 128;
/// Number of labels that are listed at most.
const LISTED: usize = 8;

/// Rejects training images from which nothing can be learned: those with a single pixel value.
///
/// This is an error, not a warning: whatever the labels, a network can only learn how frequent each is, and the cause
/// is always a fault in how the files were made.
///
/// # Errors
///
/// [`Error::Usage`], with advice.
pub fn check(data: &DataPair) -> Result<()> {
    let range = range(&data.train);
    if range.start() < range.end() {
        return Ok(());
    }
    let (source, value) = (&data.source, range.start());
    let cause = match value {
        0 | 1 => "; if they were numbers from 0 to 1, multiply by 255 before rounding them to bytes",
        _ => "; look at them with `shadegrad data show`",
    };
    Err(Error::Usage(format!("{source}: every pixel of the {} training images is {value}{cause}", data.train.len())))
}

/// Warnings about two sets before training, one line each. `full_scale` is the byte that they are scaled by.
pub fn remarks(data: &DataPair, full_scale: u8) -> Vec<String> {
    let DataPair { train, test, .. } = data;
    let parts = [dim(train, full_scale), blank(train, test), one_class(train), absent(train)];
    parts.into_iter().flatten().collect()
}

/// The darkest and the brightest pixel.
fn range(set: &Dataset) -> RangeInclusive<u8> {
    let darkest = set.images().iter().copied().min().unwrap_or(0);
    darkest..=set.images().iter().copied().max().unwrap_or(0)
}

/// A warning if pixels, as given to the network, use only a small part of their range.
fn dim(set: &Dataset, full_scale: u8) -> Option<String> {
    let (darkest, brightest) = range(set).into_inner();
    if brightest - darkest >= LEAST_RANGE {
        return None;
    }
    // After `--scale` the values differ from those in the files.
    let scaled = if full_scale < u8::MAX { format!(" after scaling by {full_scale}") } else { String::new() };
    Some(if brightest < LEAST_RANGE {
        format!(
            "the brightest pixel is {brightest} of 255{scaled}; the scale `max` makes it 255, which helps networks to learn"
        )
    } else {
        format!(
            "all pixels are between {darkest} and {brightest} of 255{scaled}: stretch them to 0 to 255 before writing them, \
             which helps networks to learn"
        )
    })
}

/// A warning if the validation set is blank, or its range differs much from that of the training set.
fn blank(train: &Dataset, test: &Dataset) -> Option<String> {
    let (range, trained) = (range(test), range(train));
    if range.start() == range.end() {
        let value = range.start();
        return Some(format!(
            "every pixel of the {} images is {value}: the accuracy on them has no meaning",
            test.name()
        ));
    }
    let span = |range: &RangeInclusive<u8>| f32::from(range.end() - range.start());
    let ratio = span(&range) / span(&trained);
    (!(0.5..=2.0).contains(&ratio)).then(|| {
        format!(
            "the brightest pixel of the {} images is {}, that of the training images {}: scale both to the same range",
            test.name(),
            range.end(),
            trained.end()
        )
    })
}

/// A warning if all training images have the same label.
fn one_class(set: &Dataset) -> Option<String> {
    let label = *set.labels().first()?;
    set.labels().iter().all(|other| *other == label).then(|| {
        format!(
            "all {} training images have the label {label}: there is nothing to distinguish, and any network will learn to \
             answer {label}; give images of two or more classes",
            grouped(set.len() as u64)
        )
    })
}

/// A warning about classes without images. The usual cause is labels that start at 1.
fn absent(set: &Dataset) -> Option<String> {
    let mut there = [false; 256];
    set.labels().iter().for_each(|label| there[usize::from(*label)] = true);
    let first = there.iter().position(|there| *there)?;
    let last = there.iter().rposition(|there| *there)?;
    if first == last {
        return None;
    }
    if first == 1 {
        return Some(format!(
            "labels start at 1: class 0 has no image, and the network needs {} outputs for {last} classes; subtract 1 from \
             all training and test labels, or accept the unused output",
            last + 1
        ));
    }
    let absent: Vec<usize> = (0..last).filter(|class| !there[*class]).collect();
    let listed: Vec<String> = absent.iter().take(LISTED).map(usize::to_string).collect();
    let more = if absent.len() > LISTED { format!(" and {} more", absent.len() - LISTED) } else { String::new() };
    (!absent.is_empty()).then(|| {
        format!("no training image has the label {}{more}: the network cannot learn to answer it", listed.join(", "))
    })
}

/// A warning about a network that has learned nothing: it gives the same answer for every image, or its accuracy is that of
/// guessing. `learning_rate` is the one that it was trained with.
pub fn learned_nothing(confusion: &[Vec<u64>], learning_rate: f32) -> Option<String> {
    let per_label: Vec<u64> = confusion.iter().map(|row| row.iter().sum()).collect();
    let images: u64 = per_label.iter().sum();
    if per_label.iter().filter(|count| **count > 0).count() < 2 {
        return None;
    }
    let answered = |class: &usize| confusion.iter().any(|row| row.get(*class).is_some_and(|count| *count > 0));
    let answers: Vec<usize> = (0..confusion.len()).filter(answered).collect();
    let right: u64 = (0..confusion.len()).filter_map(|class| confusion[class].get(class)).sum();
    let (right, guessing) = (share(right, images), share(per_label.iter().copied().max().unwrap_or(0), images));
    let found = match answers[..] {
        [answer] => format!("the network answers {answer} for every validation image"),
        _ if images >= LEAST_JUDGED && right <= guessing + BEYOND_GUESSING * (1.0 - guessing) => {
            format!("{:.1} % of the validation images are recognized, about as many as by guessing", right * 100.0)
        }
        _ => return None,
    };
    Some(format!(
        "{found}: it has learned nothing; try another learning rate (it was {learning_rate}; a tenth of it, say) or more \
         epochs, and look at the data with `shadegrad data show`"
    ))
}

/// Validation images below which an accuracy close to that of guessing means nothing.
const LEAST_JUDGED: u64 = 100;
/// Share of what guessing gets wrong that a network must get right to have learned something.
const BEYOND_GUESSING: f64 = 0.05;

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, images: &[u8], labels: &[u8]) -> Dataset {
        let shape = [1, images.len() / labels.len(), 1];
        Dataset::new(images.into(), labels.into(), shape, 256).unwrap().named(name)
    }

    fn pair(images: &[u8], labels: &[u8]) -> DataPair {
        let (train, test) = (set("train", images, labels), set("test", images, labels));
        DataPair { train, test, source: "files".into() }
    }

    #[test]
    fn ordinary_data_is_passed_in_silence() {
        for images in [[0, 255, 9, 9], [10, 240, 0, 7], [0, 128, 0, 0]] {
            let pair = pair(&images, &[1, 0]);
            check(&pair).unwrap();
            assert_eq!(remarks(&pair, 255), [""; 0]);
        }
    }

    #[test]
    fn images_of_one_value_are_refused() {
        for (value, says) in [(0, "multiply by 255"), (1, "multiply by 255"), (255, "data show"), (90, "data show")] {
            let said = check(&pair(&[value; 4], &[0, 1])).unwrap_err().to_string();
            assert!(said.starts_with(&format!("files: every pixel of the 2 training images is {value};")), "{said}");
            assert!(said.contains(says), "{said}");
        }
        check(&pair(&[0, 0, 0, 1], &[0, 1])).unwrap();
    }

    #[test]
    fn a_small_range_is_remarked_on() {
        let said = |images: &[u8], full_scale| remarks(&pair(images, &[0, 1]), full_scale).join("|");
        assert!(
            said(&[0, 16, 3, 4], 255).starts_with("the brightest pixel is 16 of 255; the scale `max` makes it 255")
        );
        assert!(said(&[0, 1, 1, 0], 255).starts_with("the brightest pixel is 1 of 255;"));
        assert!(said(&[0, 127, 1, 0], 255).starts_with("the brightest pixel is 127 of 255;"));
        assert!(said(&[0, 20, 1, 0], 200).starts_with("the brightest pixel is 20 of 255 after scaling by 200;"));
        assert!(
            said(&[200, 255, 210, 220], 255).starts_with("all pixels are between 200 and 255 of 255: stretch them")
        );
    }

    #[test]
    fn sets_of_different_ranges_are_remarked_on() {
        let train = set("train", &[0, 255], &[0, 1]);
        let said = |images: &[u8]| {
            let test = set("test", images, &[0, 1]);
            remarks(&DataPair { train: train.clone(), test, source: String::new() }, 255).join("|")
        };
        assert_eq!(said(&[0, 200]), "");
        assert_eq!(said(&[0, 0]), "every pixel of the test images is 0: the accuracy on them has no meaning");
        let expected = "the brightest pixel of the test images is 16, that of the training images 255: scale both to the same range";
        assert_eq!(said(&[0, 16]), expected);
    }

    #[test]
    fn labels_without_images_are_remarked_on() {
        let said = |labels: &[u8]| remarks(&pair(&[[0, 255]; 4].concat()[..labels.len() * 2], labels), 255).join("|");
        assert_eq!(said(&[0, 1, 2, 3]), "");
        let one = said(&[3, 3]);
        assert!(one.starts_with("all 2 training images have the label 3: there is nothing to distinguish"), "{one}");
        let from_one = said(&[1, 2, 3, 1]);
        assert!(from_one.starts_with("labels start at 1: class 0 has no image, and the network needs 4 outputs for 3"));
        assert!(from_one.contains("subtract 1 from all training and test labels"), "{from_one}");
        assert!(said(&[0, 3, 4, 4]).starts_with("no training image has the label 1, 2: "));
        assert!(
            said(&[0, 200, 1, 1]).starts_with("no training image has the label 2, 3, 4, 5, 6, 7, 8, 9 and 190 more")
        );
    }

    #[test]
    fn a_network_that_learned_nothing_is_remarked_on() {
        let said = learned_nothing(&[vec![0, 5], vec![0, 4]], 30.0).unwrap();
        assert!(said.starts_with("the network answers 1 for every validation image: it has learned nothing"), "{said}");
        assert!(said.contains("(it was 30;"), "{said}");
        let said = learned_nothing(&[vec![57, 53], vec![53, 57]], 0.5).unwrap();
        assert!(
            said.starts_with("51.8 % of the validation images are recognized, about as many as by guessing"),
            "{said}"
        );
        // Better than guessing, too few to tell, or nothing to tell apart.
        assert_eq!(learned_nothing(&[vec![80, 30], vec![30, 80]], 0.1), None);
        assert_eq!(learned_nothing(&[vec![1, 5], vec![0, 4]], 0.1), None);
        assert_eq!(learned_nothing(&[vec![0, 0], vec![0, 4]], 0.1), None);
        assert_eq!(learned_nothing(&[vec![0, 0], vec![0, 0]], 0.1), None);
    }
}
