//! The IDX file format of MNIST and similar data sets: a short header, then raw bytes.
//!
//! ```text
//! 0  0  8  rank   8 stands for unsigned bytes
//! N  [H  W  [C]]  `rank` big-endian 32-bit sizes
//! bytes           exactly as many as the product of the sizes
//! ```
//!
//! A file is read once from start to end, compressed with gzip or not, and its header is not trusted: sizes are checked
//! before anything is allocated for them, and the buffer grows only with the bytes that arrive.

mod array;
mod place;

use super::Dataset;
use super::dataset::by;
use crate::error::{Error, Result};
pub use array::MAX_UNPACKED;
use array::{Array, IMAGE_RANKS, LABEL_RANKS, open, read, write};
use place::NAMES;
pub(super) use place::{Place, present};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The images of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Pixels of all images, N x H x W x C.
    pub pixels: Vec<u8>,
    /// Height, width and channels of an image; C = 1 for a file with three dimensions.
    pub shape: [usize; 3],
}

impl Images {
    /// Number of images, N.
    pub fn count(&self) -> usize {
        self.pixels.len() / self.shape.iter().product::<usize>()
    }
}

/// Reads the images of a file: N x H x W or N x H x W x C bytes.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be read, [`Error::File`] if it is not exactly one array of that rank.
pub fn read_images(path: &Path) -> Result<Images> {
    images_from(open(path)?, path)
}

/// Reads images from any reader; `origin` is named in errors.
///
/// # Errors
///
/// As for [`read_images`].
pub fn images_from(source: impl Read, origin: &Path) -> Result<Images> {
    let Array { sizes, bytes } = read(source, origin, IMAGE_RANKS)?;
    Ok(Images { pixels: bytes, shape: [sizes[1], sizes[2], sizes.get(3).copied().unwrap_or(1)] })
}

/// Reads the labels of a file: N bytes.
///
/// # Errors
///
/// As for [`read_images`].
pub fn read_labels(path: &Path) -> Result<Vec<u8>> {
    labels_from(open(path)?, path)
}

/// Reads labels from any reader; `origin` is named in errors.
///
/// # Errors
///
/// As for [`read_images`].
pub fn labels_from(source: impl Read, origin: &Path) -> Result<Vec<u8>> {
    Ok(read(source, origin, LABEL_RANKS)?.bytes)
}

/// Reads the training and test sets from the four files of a folder: `train-images-idx3-ubyte`,
/// `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, or the same names with `test` for
/// `t10k`, `.idx` for `-idx`, or `.gz` added. All four may start with the name of their set, as in
/// `emnist-letters-train-images-idx3-ubyte`; `FOLDER/emnist-letters` selects one set in a folder with several.
///
/// The training labels determine the number of classes: the largest label plus one, and at least two.
///
/// # Errors
///
/// Those of the files, and [`Error::File`] if a file is missing, the folder has several sets, the numbers of images and
/// labels differ, the image shapes of the two sets differ, or a test label does not occur in the range of the training
/// labels.
pub fn read_folder(folder: &Path) -> Result<(Dataset, Dataset)> {
    let place = Place::of(folder)?;
    let [train_images, train_labels] = [place.find(NAMES[0])?, place.find(NAMES[1])?];
    let [test_images, test_labels] = [place.find(NAMES[2])?, place.find(NAMES[3])?];
    let train = Pair::read(&train_images, &train_labels)?;
    let test = Pair::read(&test_images, &test_labels)?;
    if train.images.shape != test.images.shape {
        let (expected, got) = (by(&train.images.shape), by(&test.images.shape));
        return Err(Error::file(&test_images, format!("test images are {got}, but training images {expected}")));
    }
    let classes = train.labels.iter().max().map_or(0, |&label| usize::from(label) + 1).max(2);
    if let Some(index) = test.labels.iter().position(|&label| usize::from(label) >= classes) {
        let (label, last) = (test.labels[index], classes - 1);
        let problem = format!("label {index} is {label}, but training labels only go from 0 to {last}");
        return Err(Error::file(&test_labels, problem));
    }
    Ok((train.set(&train_images, classes)?.named("train"), test.set(&test_images, classes)?.named("test")))
}

/// The content of an image file and of its label file, with equal numbers of images and labels.
struct Pair {
    images: Images,
    labels: Vec<u8>,
}

impl Pair {
    fn read(image_path: &Path, label_path: &Path) -> Result<Pair> {
        let images = read_images(image_path)?;
        let labels = read_labels(label_path)?;
        if labels.len() != images.count() {
            let (count, path) = (images.count(), image_path.display());
            let problem = format!("has {} labels for the {count} images in {path}", labels.len());
            return Err(Error::file(label_path, problem));
        }
        Ok(Pair { images, labels })
    }

    /// `origin` is the image file, which is named if its sizes are too large for a network.
    fn set(self, origin: &Path, classes: usize) -> Result<Dataset> {
        let set = Dataset::new(self.images.pixels, self.labels, self.images.shape, classes);
        set.map_err(|error| match error {
            Error::Usage(problem) => Error::file(origin, problem),
            other => other,
        })
    }
}

/// Writes images of shape H, W, C as N x H x W bytes, or N x H x W x C if C is not 1; compressed if the name ends in
/// `.gz`.
///
/// # Errors
///
/// [`Error::Usage`] if the pixels are not a whole number of images, [`Error::Io`] if the file cannot be written.
pub fn write_images(path: &Path, pixels: &[u8], shape: [usize; 3]) -> Result<()> {
    let [height, width, channels] = shape;
    let size = height * width * channels;
    if size == 0 || pixels.is_empty() || !pixels.len().is_multiple_of(size) {
        let problem = format!("{} bytes are not one or more images of {}", pixels.len(), by(&shape));
        return Err(Error::Usage(problem));
    }
    let sizes = [pixels.len() / size, height, width, channels];
    write(path, if channels == 1 { &sizes[..3] } else { &sizes }, pixels)
}

/// Writes labels; compressed if the name ends in `.gz`.
///
/// # Errors
///
/// As for [`write_images`].
pub fn write_labels(path: &Path, labels: &[u8]) -> Result<()> {
    match labels {
        [] => Err(Error::Usage("no labels to write".into())),
        labels => write(path, &[labels.len()], labels),
    }
}

/// The four files that [`write_folder`] writes to a folder.
pub fn files_of(folder: &Path) -> [PathBuf; 4] {
    NAMES.map(|name| folder.join(format!("{name}.gz")))
}

/// Writes both sets as the four compressed files that [`read_folder`] reads, and creates the folder if necessary.
/// Existing files with these names ([`files_of`]) are replaced.
///
/// # Errors
///
/// Those of [`write_images`], and [`Error::File`] if a file with another spelling of one of the names would be read in
/// its place.
pub fn write_folder(folder: &Path, train: &Dataset, test: &Dataset) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let paths = files_of(folder);
    for (name, path) in NAMES.iter().zip(&paths) {
        if let Some(other) = present(folder, name)?.filter(|other| other != path) {
            let problem =
                format!("would be read in place of {}; move it away, or write to another folder", path.display());
            return Err(Error::file(other, problem));
        }
    }
    let [train_images, train_labels, test_images, test_labels] = paths;
    write_images(&train_images, train.images(), train.shape())?;
    write_labels(&train_labels, train.labels())?;
    write_images(&test_images, test.images(), test.shape())?;
    write_labels(&test_labels, test.labels())
}
