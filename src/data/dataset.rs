//! Labelled images in memory. They are validated when a [`Dataset`] is made, so that all later code can rely on them.
//!
//! Pixels are stored as bytes, also on the device: the training images of MNIST take 47 MB this way and would take 188
//! MB as `f32`, more than a device has to support in one binding. The kernel that gathers a batch converts them to
//! numbers from 0 to 1. `f32` images are rounded to bytes when a set is made from them ([`Dataset::from_f32`]).

use super::order::{Order, mix};
use crate::error::{Error, Result};
use crate::memory;

/// Largest height, width and number of channels, as for the input of a network.
const LARGEST_SIDE: usize = crate::ops::LARGEST_SETTING;

/// Largest number of classes: labels are bytes.
const MOST_CLASSES: usize = 1 << u8::BITS;

/// Images of one size with their labels: at least one image, and all labels below the number of classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    name: String,
    images: Vec<u8>,
    labels: Vec<u8>,
    shape: [usize; 3],
    classes: usize,
}

impl Dataset {
    /// A data set from arrays: `images` holds the pixels, N x H x W x C, from 0 (background) to 255 (ink); `labels` has
    /// one label per image, each below `classes`; `shape` is H, W, C.
    ///
    /// ```
    /// use shadegrad::data::Dataset;
    ///
    /// // Two images of 2 x 2 pixels with one channel.
    /// let set = Dataset::new(vec![0, 255, 0, 255, 9, 9, 9, 9], vec![1, 0], [2, 2, 1], 2)?;
    /// assert_eq!(set.image(1), [9; 4]);
    ///
    /// let error = Dataset::new(vec![0; 8], vec![1, 2], [2, 2, 1], 2).unwrap_err();
    /// assert_eq!(error.to_string(), "data: label 1 is 2, expected 0 to 1: there are 2 classes");
    /// # Ok::<(), shadegrad::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if there is no image, a size in the shape is 0 or above 65,535, the number of pixels does not
    /// match the labels and the shape, there are no classes or more than 256, or a label is not below `classes`.
    pub fn new(images: Vec<u8>, labels: Vec<u8>, shape: [usize; 3], classes: usize) -> Result<Dataset> {
        let set = Dataset { name: "data".into(), images, labels, shape, classes };
        match set.problem() {
            None => Ok(set),
            Some(problem) => Err(Error::Usage(format!("{}: {problem}", set.name))),
        }
    }

    /// A data set from arrays with pixels from 0 (background) to 1 (ink); otherwise like [`Dataset::new`].
    ///
    /// Each number is rounded to the nearest of the 256 values 0, 1/255, … 1, an error of at most 1/510. Images that
    /// were converted from bytes lose nothing. [`quantized`] rounds pictures for
    /// [`Predictor`](crate::evaluate::Predictor) in the same way.
    ///
    /// # Errors
    ///
    /// Those of [`Dataset::new`], and [`Error::Usage`] if a number is below 0, above 1 or NaN.
    pub fn from_f32(images: &[f32], labels: Vec<u8>, shape: [usize; 3], classes: usize) -> Result<Dataset> {
        Dataset::new(quantized(images)?, labels, shape, classes)
    }

    /// What is wrong with the set, with expected and actual values.
    fn problem(&self) -> Option<String> {
        let Dataset { images, labels, shape, classes, .. } = self;
        if shape.iter().any(|size| !(1..=LARGEST_SIDE).contains(size)) {
            let got = by(shape);
            return Some(format!("expected height, width and channels from 1 to {LARGEST_SIDE}, got {got}"));
        }
        if !(1..=MOST_CLASSES).contains(classes) {
            return Some(format!("expected from 1 to {MOST_CLASSES} classes, got {classes}"));
        }
        if labels.is_empty() {
            return Some("expected at least one image with its label, got none".into());
        }
        if u32::try_from(labels.len()).is_err() {
            return Some(format!("expected at most {} images, got {} labels", u32::MAX, labels.len()));
        }
        // A shape of three sizes below 2^16 and fewer than 2^32 images cannot overflow 128 bits.
        let size: u128 = shape.iter().map(|size| *size as u128).product();
        let expected = size * labels.len() as u128;
        if images.len() as u128 != expected {
            let (got, shape, count) = (images.len(), by(shape), labels.len());
            return Some(format!("expected {expected} pixels, {shape} for each of {count} labels, got {got}"));
        }
        let index = labels.iter().position(|label| usize::from(*label) >= *classes)?;
        let (label, last) = (labels[index], classes - 1);
        Some(format!("label {index} is {label}, expected 0 to {last}: there are {classes} classes"))
    }

    /// Renames the set: "train", "validation", "test". The default name is "data".
    pub fn named(mut self, name: impl Into<String>) -> Dataset {
        self.name = name.into();
        self
    }

    /// Name of the set in messages: "train", "validation", "test".
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pixels of all images, N x H x W x C, from 0 (background) to 255 (ink).
    pub fn images(&self) -> &[u8] {
        &self.images
    }

    /// The labels, one per image, each below [`Dataset::classes`].
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Height, width and channels of an image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Number of classes; labels count from 0.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of images, N.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether the set has no images, which is possible only after [`Dataset::take`].
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of one image, H x W x C.
    ///
    /// # Panics
    ///
    /// If there is no such image, as when indexing a slice.
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.image_size();
        &self.images[index * size..][..size]
    }

    /// The same images with other labels.
    ///
    /// # Errors
    ///
    /// Those of [`Dataset::new`].
    pub fn with_labels(self, labels: Vec<u8>) -> Result<Dataset> {
        Ok(Dataset::new(self.images, labels, self.shape, self.classes)?.named(self.name))
    }

    /// The same labels with other images of the same shape.
    ///
    /// # Errors
    ///
    /// Those of [`Dataset::new`].
    pub fn with_images(self, images: Vec<u8>) -> Result<Dataset> {
        Ok(Dataset::new(images, self.labels, self.shape, self.classes)?.named(self.name))
    }

    /// The first `count` images, or all if there are fewer.
    pub fn take(mut self, count: usize) -> Dataset {
        self.labels.truncate(count);
        self.images.truncate(self.labels.len() * self.image_size());
        self
    }

    /// Splits the set into a training set and a validation set of `count` images.
    ///
    /// The validation images are the last `count` of a permutation that depends only on the length and the seed, so a
    /// smaller validation set is always part of a larger one. Both sets keep the order of the whole.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if either set would be empty, [`Error::Memory`] if there is not enough memory for both.
    pub fn hold_out(&self, count: usize, seed: u64) -> Result<(Dataset, Dataset)> {
        let len = self.len();
        if count == 0 || count >= len {
            let problem = format!("cannot hold out {count} of {len} samples: both parts need at least one");
            return Err(Error::Usage(problem));
        }
        memory::check_room(self.bytes() + 8 * len as u64, "the divided data set")?;
        let mut order = Order::shuffled(len as u32, mix(seed, HOLD_OUT)).epoch(0);
        let (rest, held) = order.split_at_mut(len - count);
        rest.sort_unstable();
        held.sort_unstable();
        Ok((self.select(rest).named("train"), self.select(held).named("validation")))
    }

    /// The images with these indices.
    fn select(&self, indices: &[u32]) -> Dataset {
        let mut images = Vec::with_capacity(indices.len() * self.image_size());
        for &index in indices {
            images.extend_from_slice(self.image(index as usize));
        }
        let labels = indices.iter().map(|&index| self.labels[index as usize]).collect();
        Dataset { name: self.name.clone(), images, labels, ..*self }
    }

    /// A copy of the first `count` images, or of all if there are fewer.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn first(&self, count: usize) -> Dataset {
        let count = count.min(self.len());
        let (images, labels) = (&self.images[..count * self.image_size()], &self.labels[..count]);
        Dataset { name: self.name.clone(), images: images.to_vec(), labels: labels.to_vec(), ..*self }
    }

    /// The pixels of all images, for rescaling in place.
    pub(crate) fn images_mut(&mut self) -> &mut [u8] {
        &mut self.images
    }

    /// Size of all images and labels in bytes.
    pub(super) fn bytes(&self) -> u64 {
        (self.images.len() + self.labels.len()) as u64
    }

    /// Size of one image in bytes, H * W * C.
    fn image_size(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Separates the seed of a hold-out from the seeds of epochs.
const HOLD_OUT: u64 = 0x686f_6c64;

/// Converts pixels from 0 to 1 to bytes: each is rounded to the nearest of 0, 1/255, … 1. [`Dataset::from_f32`] rounds
/// in the same way; this function is for pictures to classify.
///
/// # Errors
///
/// [`Error::Usage`] if a number is below 0, above 1 or NaN.
pub fn quantized(pixels: &[f32]) -> Result<Vec<u8>> {
    let byte = |(index, pixel): (usize, &f32)| {
        if (0.0..=1.0).contains(pixel) {
            // At most 255 after the check.
            return Ok((pixel * 255.0).round() as u8);
        }
        Err(Error::Usage(format!("pixel {index} is {pixel}, expected a number from 0 to 1; divide bytes by 255")))
    };
    pixels.iter().enumerate().map(byte).collect()
}

/// Sizes as text: `[60000, 28, 28]` becomes "60000 x 28 x 28".
pub(super) fn by(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `len` images of 2 x 1 x 1, each with its index as first pixel and as label.
    fn numbered(len: u8) -> Dataset {
        let images = (0..len).flat_map(|i| [i, 255 - i]).collect();
        Dataset::new(images, (0..len).collect(), [2, 1, 1], len.into()).unwrap().named("train")
    }

    fn assert_consistent(set: &Dataset) {
        assert_eq!(set.images.len(), 2 * set.len());
        for i in 0..set.len() {
            assert_eq!(set.image(i), [set.labels[i], 255 - set.labels[i]]);
        }
    }

    #[test]
    fn whatever_does_not_fit_is_one_error_with_expected_and_got() {
        let said = |pixels: usize, labels: &[u8], shape, classes| {
            Dataset::new(vec![7; pixels], labels.to_vec(), shape, classes).map_err(|error| error.to_string())
        };
        let shape = [2, 3, 1];
        assert!(said(12, &[0, 9], shape, 10).is_ok());
        let most = [65_535, 1, 1];
        assert!(said(65_535, &[255], most, 256).is_ok());
        for (got, expected) in [
            (said(6, &[0, 9], shape, 10), "expected 12 pixels, 2 x 3 x 1 for each of 2 labels, got 6"),
            (said(18, &[0, 9], shape, 10), "expected 12 pixels, 2 x 3 x 1 for each of 2 labels, got 18"),
            (said(11, &[0, 9], shape, 10), "expected 12 pixels, 2 x 3 x 1 for each of 2 labels, got 11"),
            (said(12, &[0, 10], shape, 10), "label 1 is 10, expected 0 to 9: there are 10 classes"),
            (said(12, &[255, 10], shape, 10), "label 0 is 255, expected 0 to 9: there are 10 classes"),
            (said(0, &[], shape, 10), "expected at least one image with its label, got none"),
            (said(12, &[], shape, 10), "expected at least one image with its label, got none"),
            (said(0, &[0], [2, 0, 1], 10), "expected height, width and channels from 1 to 65535, got 2 x 0 x 1"),
            (
                said(9, &[0], [65_536, 1, 1], 10),
                "expected height, width and channels from 1 to 65535, got 65536 x 1 x 1",
            ),
            (said(12, &[0, 0], shape, 0), "expected from 1 to 256 classes, got 0"),
            (said(12, &[0, 0], shape, 257), "expected from 1 to 256 classes, got 257"),
            // 2^48 pixels per image.
            (
                said(12, &[0, 0], [65_535; 3], 2),
                "expected 562924184010750 pixels, 65535 x 65535 x 65535 for each of 2 labels, got 12",
            ),
        ] {
            assert_eq!(got.unwrap_err(), format!("data: {expected}"));
        }
    }

    #[test]
    fn other_images_and_labels_are_checked_as_well() {
        let set = numbered(3);
        assert_eq!(set.clone().with_labels(vec![2, 1, 0]).unwrap().labels(), [2, 1, 0]);
        assert_eq!(set.clone().with_images(vec![5; 6]).unwrap(), Dataset { images: vec![5; 6], ..set.clone() });
        assert!(set.clone().with_labels(vec![2, 1, 3]).is_err());
        assert!(set.clone().with_labels(vec![2, 1]).is_err());
        assert!(set.with_images(vec![5; 7]).is_err());
    }

    #[test]
    fn numbers_become_the_nearest_bytes() {
        for byte in 0..=255_u8 {
            let exact = f32::from(byte) / 255.0;
            for (pixel, expected) in [(exact, byte), (exact - 0.0019, byte), (exact + 0.0019, byte)] {
                assert_eq!(quantized(&[pixel.clamp(0.0, 1.0)]).unwrap(), [expected], "{pixel}");
            }
        }
        let set = Dataset::from_f32(&[0.0, 1.0, 0.5, 0.25], vec![0, 1], [1, 2, 1], 2).unwrap();
        assert_eq!(set.images(), [0, 255, 128, 64]);
        assert_eq!(quantized(&[-0.0]).unwrap(), [0]);
        for wrong in [-0.001, 1.001, 255.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let said = Dataset::from_f32(&[0.5, wrong], vec![0], [1, 2, 1], 2).unwrap_err().to_string();
            assert_eq!(said, format!("pixel 1 is {wrong}, expected a number from 0 to 1; divide bytes by 255"));
        }
    }

    #[test]
    fn take_keeps_the_first() {
        let set = numbered(9).take(4);
        assert_eq!(set.labels, [0, 1, 2, 3]);
        assert_consistent(&set);
        assert_eq!(numbered(9).take(100), numbered(9));
        assert_eq!(numbered(9).first(4), set);
        assert!(numbered(9).take(0).is_empty());
    }

    #[test]
    fn hold_out_divides_without_loss() {
        let whole = numbered(50);
        let (train, validation) = whole.hold_out(8, 1).unwrap();
        assert_eq!((train.len(), validation.len()), (42, 8));
        assert_eq!((train.name.as_str(), validation.name.as_str()), ("train", "validation"));
        assert_consistent(&train);
        assert_consistent(&validation);
        assert!(validation.labels.is_sorted() && train.labels.is_sorted());
        let mut all = [train.labels, validation.labels].concat();
        all.sort_unstable();
        assert_eq!(all, whole.labels);
    }

    #[test]
    fn hold_out_follows_the_seed_and_grows_by_inclusion() {
        let held = |count, seed| numbered(50).hold_out(count, seed).unwrap().1.labels;
        assert_eq!(held(8, 1), held(8, 1));
        assert_ne!(held(8, 1), held(8, 2));
        assert!(held(8, 1).iter().all(|label| held(20, 1).contains(label)));
    }

    #[test]
    fn hold_out_leaves_no_part_empty() {
        for count in [0, 50, 51] {
            let error = numbered(50).hold_out(count, 1).unwrap_err().to_string();
            assert_eq!(error, format!("cannot hold out {count} of 50 samples: both parts need at least one"));
        }
    }
}
