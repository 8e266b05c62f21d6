//! Data sets: where they come from, how they are divided, and in what order they are seen.
//!
//! A [`Dataset`] is what a trainer uploads: all images in one run of bytes, and one label byte for each. A [`Source`]
//! says where one comes from - a folder in the MNIST file format, or the built-in generator - and loads it as a
//! [`DataPair`] of training and test set. Bytes stay bytes here; the network scales them.

pub mod builtin;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod form;
pub mod idx;
pub mod order;
#[cfg(feature = "images")]
pub mod prepare;
pub mod remarks;
pub mod scale;
#[cfg(feature = "images")]
pub mod sheet;
mod unpack;

use std::ffi::OsStr;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::memory;
use order::{Order, mix};
use sha2::{Digest, Sha256};

/// Images of one size, with their labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// What it is used for, for people: "train", "validation", "test".
    pub name: String,
    /// Pixels, N x H x W x C, from 0 (background) to 255 (ink).
    pub images: Vec<u8>,
    /// N labels, each below `classes`.
    pub labels: Vec<u8>,
    /// H, W, C.
    pub image_shape: [usize; 3],
    /// How many classes there are; labels are `0..classes`.
    pub classes: usize,
}

impl Dataset {
    /// Number of samples, N.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample at all.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of one image, H x W x C.
    ///
    /// # Panics
    ///
    /// When there is no such image, as indexing a slice does.
    pub fn image(&self, index: usize) -> &[u8] {
        let size = self.image_size();
        &self.images[index * size..][..size]
    }

    /// The first `count` samples, or all when there are fewer.
    pub fn take(mut self, count: usize) -> Dataset {
        self.labels.truncate(count);
        self.images.truncate(self.labels.len() * self.image_size());
        self
    }

    /// Divides into a training set and a validation set of `count` samples.
    ///
    /// Held out are the last `count` samples of a permutation that depends on the length and the seed alone, so a
    /// smaller validation set is always part of a larger one. Both sets keep the order of the whole.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when either set would be empty, [`Error::Memory`] when there is no memory for both.
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
        Ok((self.select("train", rest), self.select("validation", held)))
    }

    fn select(&self, name: &str, indices: &[u32]) -> Dataset {
        let mut images = Vec::with_capacity(indices.len() * self.image_size());
        for &index in indices {
            images.extend_from_slice(self.image(index as usize));
        }
        let labels = indices.iter().map(|&index| self.labels[index as usize]).collect();
        Dataset { name: name.into(), images, labels, image_shape: self.image_shape, classes: self.classes }
    }

    /// Bytes of all images and labels.
    fn bytes(&self) -> u64 {
        (self.images.len() + self.labels.len()) as u64
    }

    /// Bytes of one image, H * W * C.
    fn image_size(&self) -> usize {
        self.image_shape.iter().product()
    }
}

/// Keeps the seed of a hold-out apart from the seeds of epochs.
const HOLD_OUT: u64 = 0x686f_6c64;

/// How much of a training set to hold out: `0.1` is a tenth of it, `5000` a number of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// A part of the whole, between 0 and 1.
    Fraction(f64),
    /// A number of samples, at least one.
    Count(usize),
}

impl Share {
    /// The number of samples this means for a set of `len`.
    pub fn of(self, len: usize) -> usize {
        match self {
            Share::Fraction(fraction) => (fraction * len as f64).round() as usize,
            Share::Count(count) => count,
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Share::Fraction(fraction) => fraction.fmt(f),
            Share::Count(count) => count.fmt(f),
        }
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        if let Ok(count) = text.parse() {
            return if count == 0 { Err("expected at least one sample".into()) } else { Ok(Share::Count(count)) };
        }
        match text.parse() {
            Ok(fraction) if 0.0 < fraction && fraction < 1.0 => Ok(Share::Fraction(fraction)),
            _ => Err("expected a fraction between 0 and 1, or a number of samples".into()),
        }
    }
}

/// What a run needs: a set to learn from and a set to be judged by, of one image shape and one number of classes.
#[derive(Clone, Debug)]
pub struct DataPair {
    /// To learn from.
    pub train: Dataset,
    /// To be judged by.
    pub test: Dataset,
    /// Where both came from, for people: "MNIST-format files in data/mnist", "built-in digits, seed 1".
    pub source: String,
}

impl DataPair {
    /// The same once more.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] when there is no memory for it.
    pub fn copy(&self) -> Result<DataPair> {
        memory::check_room(self.train.bytes() + self.test.bytes(), &self.source)?;
        Ok(self.clone())
    }

    /// SHA-256 of both sets: pixels, labels and shapes. What a resumed run must find again.
    pub fn checksum(&self) -> String {
        let mut hash = Sha256::new();
        for set in [&self.train, &self.test] {
            hash.update(format!("{:?} {} {};", set.image_shape, set.classes, set.len()));
            hash.update(&set.images);
            hash.update(&set.labels);
        }
        hex(&hash.finalize())
    }
}

/// A checksum's digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where data comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The generator of digits that needs no files.
    Builtin {
        /// Everything about the images follows from it.
        seed: u64,
    },
    /// A folder with the four files of the MNIST format.
    Folder(PathBuf),
}

/// Where `data fetch mnist` puts its files, and where they are looked for when nobody says otherwise.
pub const MNIST_FOLDER: &str = "data/mnist";

const BUILTIN_SEED: u64 = 1;
const BUILTIN_TRAIN: usize = 20_000;
const BUILTIN_TEST: usize = 4_000;

impl fmt::Display for Source {
    /// As `--data` takes it, from whatever folder the program is started.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Builtin { .. } => f.write_str("builtin"),
            Source::Folder(folder) => std::path::absolute(folder).unwrap_or(folder.clone()).display().fmt(f),
        }
    }
}

impl Source {
    /// Decides between `--data`, `$SHADEGRAD_DATA`, [`MNIST_FOLDER`] if it is there, and the built-in digits, in this
    /// order. Either text is a folder or the word `builtin`; an empty variable counts as unset.
    ///
    /// The second value is a notice to print when the built-in digits are only a fallback.
    pub fn resolve(option: Option<&str>, env: Option<&OsStr>) -> (Source, Option<String>) {
        Source::resolve_among(option, env, Path::new(MNIST_FOLDER))
    }

    fn resolve_among(option: Option<&str>, env: Option<&OsStr>, usual: &Path) -> (Source, Option<String>) {
        let builtin = Source::Builtin { seed: BUILTIN_SEED };
        match option.map(OsStr::new).or(env.filter(|text| !text.is_empty())) {
            Some(text) if text == "builtin" => (builtin, None),
            Some(text) => (Source::Folder(text.into()), None),
            None if may_be_folder(usual) => (Source::Folder(usual.into()), None),
            None => {
                let notice = format!(
                    "no {} here: using the built-in digits (`shadegrad data fetch mnist` downloads MNIST)",
                    usual.display()
                );
                (builtin, Some(notice))
            }
        }
    }

    /// Whether its files are there, of training images at least; what needs no files is.
    pub fn is_there(&self) -> bool {
        match self {
            Source::Builtin { .. } => true,
            Source::Folder(folder) => idx::Place::of(folder).map_or(true, |place| place.is_there()),
        }
    }

    /// Whether its files are those of EMNIST, in which rows and columns are exchanged.
    pub fn is_emnist(&self) -> bool {
        matches!(self, Source::Folder(folder) if idx::Place::of(folder).is_ok_and(|place| place.is_emnist()))
    }

    /// Reads or makes both sets.
    ///
    /// # Errors
    ///
    /// Those of [`idx::read_folder`].
    pub fn load(&self) -> Result<DataPair> {
        match self {
            Source::Builtin { seed } => {
                let source = format!("built-in digits, seed {seed}");
                memory::check_room(((BUILTIN_TRAIN + BUILTIN_TEST) * (28 * 28 + 1)) as u64, &source)?;
                let train = digits("train", BUILTIN_TRAIN, mix(*seed, 0));
                Ok(DataPair { train, test: digits("test", BUILTIN_TEST, mix(*seed, 1)), source })
            }
            Source::Folder(folder) => {
                let (train, test) = idx::read_folder(folder)?;
                Ok(DataPair { train, test, source: format!("MNIST-format files in {}", folder.display()) })
            }
        }
    }
}

/// Whether there is a folder, or something that cannot be looked at: to read that is an error, which says why.
fn may_be_folder(path: &Path) -> bool {
    match path.metadata() {
        Ok(metadata) => metadata.is_dir(),
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

fn digits(name: &str, count: usize, seed: u64) -> Dataset {
    let (images, labels) = builtin::digits(count, seed);
    Dataset { name: name.into(), images, labels, image_shape: [28, 28, 1], classes: 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `len` images of 2 x 1 x 1, each with its own index as first pixel and as label.
    fn numbered(len: u8) -> Dataset {
        Dataset {
            name: "train".into(),
            images: (0..len).flat_map(|i| [i, 255 - i]).collect(),
            labels: (0..len).collect(),
            image_shape: [2, 1, 1],
            classes: len.into(),
        }
    }

    fn assert_consistent(set: &Dataset) {
        assert_eq!(set.images.len(), 2 * set.len());
        for i in 0..set.len() {
            assert_eq!(set.image(i), [set.labels[i], 255 - set.labels[i]]);
        }
    }

    #[test]
    fn take_keeps_the_first() {
        let set = numbered(9).take(4);
        assert_eq!(set.labels, [0, 1, 2, 3]);
        assert_consistent(&set);
        assert_eq!(numbered(9).take(100), numbered(9));
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

    #[test]
    fn shares() {
        assert_eq!("0.1".parse::<Share>().unwrap().of(60_000), 6_000);
        assert_eq!("5000".parse::<Share>().unwrap().of(60_000), 5_000);
        assert_eq!("1".parse::<Share>().unwrap().of(60_000), 1);
        for wrong in ["0", "0.0", "1.0", "1.5", "-3", "nan", "inf", "", "tenth"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_option_wins_then_the_variable_then_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (there, missing) = (dir.path(), dir.path().join("missing"));
        let resolve = |option, env: Option<&str>, usual| Source::resolve_among(option, env.map(OsStr::new), usual);
        let folder = |path: &str| (Source::Folder(path.into()), None);
        let builtin = (Source::Builtin { seed: 1 }, None);
        assert_eq!(resolve(Some("a"), Some("b"), there), folder("a"));
        assert_eq!(resolve(None, Some("b"), there), folder("b"));
        assert_eq!(resolve(None, Some(""), there), (Source::Folder(there.into()), None));
        assert_eq!(resolve(Some("builtin"), Some("b"), there), builtin);
        assert_eq!(resolve(None, Some("builtin"), there), builtin);

        let (source, notice) = resolve(None, None, &missing);
        assert_eq!(source, builtin.0);
        let notice = notice.unwrap();
        assert!(notice.contains("shadegrad data fetch mnist") && !notice.contains('\n'), "{notice}");
    }
}
