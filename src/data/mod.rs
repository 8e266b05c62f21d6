//! Data sets: where they come from, how they are split, and in what order their images are seen.
//!
//! A [`Dataset`] holds all images in one array of bytes, with one label byte for each. It is made from arrays in memory
//! ([`Dataset::new`], [`Dataset::from_f32`]) or loaded from a [`Source`]: a folder in the MNIST file format, or the
//! built-in generator. A [`DataPair`] is a training set with its test set. Pixels stay bytes here; the first kernel of
//! the network scales them.

pub mod builtin;
mod dataset;
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

pub use dataset::{Dataset, quantized};

use std::ffi::OsStr;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::memory;
use builtin::Hand;
use order::mix;
use sha2::{Digest, Sha256};

/// How much of a training set to hold out: `0.1` is a tenth of it, `5000` a number of images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// A fraction of the set, between 0 and 1.
    Fraction(f64),
    /// A number of images, at least one.
    Count(usize),
}

impl Share {
    /// The number of images for a set of `len` images.
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
            return if count == 0 { Err("expected at least one image".into()) } else { Ok(Share::Count(count)) };
        }
        match text.parse() {
            Ok(fraction) if 0.0 < fraction && fraction < 1.0 => Ok(Share::Fraction(fraction)),
            _ => Err("expected a fraction between 0 and 1, or a number of images".into()),
        }
    }
}

/// The data of a run: a set to train on and a set to evaluate on, with equal image shapes.
#[derive(Clone, Debug)]
pub struct DataPair {
    /// The training set.
    pub train: Dataset,
    /// The set that the network is evaluated on after each epoch: a test or validation set.
    pub test: Dataset,
    /// Description of the source of both sets: "MNIST-format files in data/mnist", "built-in digits, seed 1".
    pub source: String,
}

impl DataPair {
    /// Two sets made in memory.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if the image shapes or the numbers of classes differ.
    pub fn new(train: Dataset, test: Dataset) -> Result<DataPair> {
        if train.shape() != test.shape() {
            let (expected, got) = (dataset::by(&train.shape()), dataset::by(&test.shape()));
            let problem = format!("the images of the training set are {expected}, those of the test set {got}");
            return Err(Error::Usage(problem));
        }
        if train.classes() != test.classes() {
            let (expected, got) = (train.classes(), test.classes());
            return Err(Error::Usage(format!("the training set has {expected} classes, the test set {got}")));
        }
        Ok(DataPair { train: train.named("train"), test: test.named("test"), source: "arrays in memory".into() })
    }

    /// A copy of both sets.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] if there is not enough memory.
    pub fn copy(&self) -> Result<DataPair> {
        memory::check_room(self.train.bytes() + self.test.bytes(), &self.source)?;
        Ok(self.clone())
    }

    /// SHA-256 of both sets: pixels, labels and shapes. A resumed run checks that its data has the same value.
    pub fn checksum(&self) -> String {
        let mut hash = Sha256::new();
        for set in [&self.train, &self.test] {
            hash.update(format!("{:?} {} {};", set.shape(), set.classes(), set.len()));
            hash.update(set.images());
            hash.update(set.labels());
        }
        hex(&hash.finalize())
    }
}

/// Formats bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a training set and its test set come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The generator of digits, which needs no files.
    Builtin {
        /// The seed of all images.
        seed: u64,
    },
    /// A folder with the four files of the MNIST format.
    Folder(PathBuf),
}

/// Where `data fetch mnist` puts its files, and the default place to look for them.
pub const MNIST_FOLDER: &str = "data/mnist";

const BUILTIN_SEED: u64 = 1;
const BUILTIN_TRAIN: usize = 20_000;
const BUILTIN_TEST: usize = 4_000;

impl fmt::Display for Source {
    /// Writes what `--data` accepts, valid in any working directory.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Builtin { .. } => f.write_str("builtin"),
            Source::Folder(folder) => std::path::absolute(folder).unwrap_or(folder.clone()).display().fmt(f),
        }
    }
}

impl Source {
    /// Chooses between `--data`, `$SHADEGRAD_DATA`, [`MNIST_FOLDER`] if it exists, and the built-in digits, in this
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
                    "no {} here: using built-in digits, which the program draws. Those for training are in a hurried hand, \
                     harder to read than MNIST's; a network trained on them recognizes about 98 % of MNIST, which \
                     `shadegrad data fetch mnist` downloads",
                    usual.display()
                );
                (builtin, Some(notice))
            }
        }
    }

    /// Whether the files of training images exist; the built-in digits always do.
    pub fn is_there(&self) -> bool {
        match self {
            Source::Builtin { .. } => true,
            Source::Folder(folder) => idx::Place::of(folder).map_or(true, |place| place.is_there()),
        }
    }

    /// Whether the files are those of EMNIST, whose rows and columns are swapped.
    pub fn is_emnist(&self) -> bool {
        matches!(self, Source::Folder(folder) if idx::Place::of(folder).is_ok_and(|place| place.is_emnist()))
    }

    /// Reads or generates both sets.
    ///
    /// # Errors
    ///
    /// Those of [`idx::read_folder`].
    pub fn load(&self) -> Result<DataPair> {
        match self {
            Source::Builtin { seed } => {
                let source = format!("built-in digits, seed {seed}");
                memory::check_room(((BUILTIN_TRAIN + BUILTIN_TEST) * (28 * 28 + 1)) as u64, &source)?;
                let train = digits("train", Hand::Hurried, BUILTIN_TRAIN, mix(*seed, 0))?;
                let test = digits("test", Hand::Mixed, BUILTIN_TEST, mix(*seed, 1))?;
                Ok(DataPair { train, test, source })
            }
            Source::Folder(folder) => {
                let (train, test) = idx::read_folder(folder)?;
                Ok(DataPair { train, test, source: format!("MNIST-format files in {}", folder.display()) })
            }
        }
    }
}

/// Whether there is a folder, or something that cannot be examined: reading it is then an error that gives the reason.
fn may_be_folder(path: &Path) -> bool {
    match path.metadata() {
        Ok(metadata) => metadata.is_dir(),
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

fn digits(name: &str, hand: Hand, count: usize, seed: u64) -> Result<Dataset> {
    let (images, labels) = builtin::digits_by(hand, count, seed);
    Ok(Dataset::new(images, labels, [28, 28, 1], 10)?.named(name))
}

#[cfg(test)]
mod tests {
    use super::*;

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
