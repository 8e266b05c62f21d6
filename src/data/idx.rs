//! The IDX format, in which MNIST and its relatives come: a short header, then plain bytes.
//!
//! ```text
//! 0  0  8  rank   8 says that the elements are unsigned bytes
//! N  [H  W  [C]]  `rank` big-endian 32-bit sizes
//! bytes           as many as the product of the sizes, and not one more
//! ```
//!
//! A file is read once from front to back, packed with gzip or not, and nothing in it is believed: sizes are checked
//! before anything is allocated for them, and the buffer grows with what really arrives.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Dataset;
use super::unpack::{is_broken_gzip, unpacked};
use crate::error::{Error, Result};
use crate::files::replace_file;
use crate::memory;

/// The most bytes that one file may unpack to.
pub const MAX_UNPACKED: u64 = 2 << 30;

const UNSIGNED_BYTE: u8 = 8;
/// Buffers start at this many bytes and double, up to the declared size.
const FIRST_STEP: usize = 1 << 20;

const IMAGE_RANKS: RangeInclusive<u8> = 3..=4;
const LABEL_RANKS: RangeInclusive<u8> = 1..=1;

/// What an image file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// N x H x W x C.
    pub pixels: Vec<u8>,
    /// H, W, C; a file of three dimensions has C = 1.
    pub shape: [usize; 3],
}

impl Images {
    /// Number of images, N.
    pub fn count(&self) -> usize {
        self.pixels.len() / self.shape.iter().product::<usize>()
    }
}

/// Reads N x H x W or N x H x W x C bytes.
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be read, [`Error::File`] when it is anything but one whole array of that rank.
pub fn read_images(path: &Path) -> Result<Images> {
    images_from(open(path)?, path)
}

/// The same from anything that can be read; `origin` says in errors where it is from.
///
/// # Errors
///
/// As for [`read_images`].
pub fn images_from(source: impl Read, origin: &Path) -> Result<Images> {
    let Array { sizes, bytes } = read(source, origin, IMAGE_RANKS)?;
    Ok(Images { pixels: bytes, shape: [sizes[1], sizes[2], sizes.get(3).copied().unwrap_or(1)] })
}

/// Reads N bytes.
///
/// # Errors
///
/// As for [`read_images`].
pub fn read_labels(path: &Path) -> Result<Vec<u8>> {
    labels_from(open(path)?, path)
}

/// The same from anything that can be read; `origin` says in errors where it is from.
///
/// # Errors
///
/// As for [`read_images`].
pub fn labels_from(source: impl Read, origin: &Path) -> Result<Vec<u8>> {
    Ok(read(source, origin, LABEL_RANKS)?.bytes)
}

/// Reads training and test set from the four files of a folder: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
/// `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, or the same names with `test` for `t10k`, with `.idx` for `-idx`,
/// or with `.gz` added. All four may begin with the name of their set, `emnist-letters-train-images-idx3-ubyte`; of a folder
/// with several such sets, `FOLDER/emnist-letters` is one.
///
/// The training labels say how many classes there are: the largest of them plus one, and at least two.
///
/// # Errors
///
/// Those of the files, and [`Error::File`] when one is missing, there are several sets, counts of images and labels differ,
/// the two sets differ in image shape, or a test label names a class that training never saw.
pub fn read_folder(folder: &Path) -> Result<(Dataset, Dataset)> {
    let place = Place::of(folder)?;
    let [train_images, train_labels] = [place.find(NAMES[0])?, place.find(NAMES[1])?];
    let [test_images, test_labels] = [place.find(NAMES[2])?, place.find(NAMES[3])?];
    let mut train = read_set("train", &train_images, &train_labels)?;
    let mut test = read_set("test", &test_images, &test_labels)?;

    if train.image_shape != test.image_shape {
        let (expected, got) = (by(&train.image_shape), by(&test.image_shape));
        return Err(Error::file(&test_images, format!("test images are {got}, but training images {expected}")));
    }
    train.classes = train.classes.max(2);
    test.classes = train.classes;
    match test.labels.iter().position(|&label| usize::from(label) >= test.classes) {
        None => Ok((train, test)),
        Some(index) => {
            let (label, last) = (test.labels[index], test.classes - 1);
            let problem = format!("label {index} is {label}, but training labels only go from 0 to {last}");
            Err(Error::file(&test_labels, problem))
        }
    }
}

/// Writes images of shape H, W, C as N x H x W bytes, or N x H x W x C when C is not 1; packed when the name ends in
/// `.gz`.
///
/// # Errors
///
/// [`Error::Usage`] when the pixels are not a whole number of images, [`Error::Io`] when the file cannot be written.
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

/// Writes labels; packed when the name ends in `.gz`.
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

/// Writes both sets as the four packed files that [`read_folder`] reads, making the folder if need be. Files of these names
/// ([`files_of`]) are replaced.
///
/// # Errors
///
/// Those of [`write_images`], and [`Error::File`] when there is a file of another spelling that would be read in place of
/// one of the four.
pub fn write_folder(folder: &Path, train: &Dataset, test: &Dataset) -> Result<()> {
    let paths = files_of(folder);
    for (name, path) in NAMES.iter().zip(&paths) {
        if let Some(other) = present(folder, name)?.filter(|other| other != path) {
            let problem =
                format!("would be read in place of {}; move it away, or write to another folder", path.display());
            return Err(Error::file(other, problem));
        }
    }
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let [train_images, train_labels, test_images, test_labels] = paths;
    write_images(&train_images, &train.images, train.image_shape)?;
    write_labels(&train_labels, &train.labels)?;
    write_images(&test_images, &test.images, test.image_shape)?;
    write_labels(&test_labels, &test.labels)
}

/// The four files, in the order images, labels of training, then of test. They keep their names when images have
/// colour (and the rank is 4), so that whoever knows the folder finds them.
const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// The names under which a file may lie in a folder.
fn spellings(name: &str) -> [String; 4] {
    let dotted = name.replace("-idx", ".idx");
    [name.to_string(), format!("{name}.gz"), dotted.clone(), format!("{dotted}.gz")]
}

/// The file of this name in any spelling, if it is there.
///
/// # Errors
///
/// [`Error::Io`] when the system does not say whether it is.
pub(super) fn present(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    for path in spellings(name).into_iter().map(|spelling| folder.join(spelling)) {
        if fs::exists(&path).map_err(Error::io("look for", &path))? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Where the four files lie, and what stands before their names: nothing, or `emnist-letters-`.
pub(super) struct Place {
    folder: PathBuf,
    prefix: String,
}

impl Place {
    /// The set in a folder, or of several the one that a path `FOLDER/emnist-letters` names. Whether all its files are there
    /// is not looked at.
    pub fn of(path: &Path) -> Result<Place> {
        if !path.is_dir()
            && let (Some(folder), Some(name)) = (path.parent(), path.file_name())
            && let prefix = format!("{}-", name.to_string_lossy())
            && prefixes(folder).contains(&prefix)
        {
            return Ok(Place { folder: folder.to_path_buf(), prefix });
        }
        let place = |prefix| Ok(Place { folder: path.to_path_buf(), prefix });
        let found = if present(path, NAMES[0])?.is_some() { BTreeSet::new() } else { prefixes(path) };
        if found.len() > 1 {
            let names: Vec<&str> = found.iter().map(|prefix| prefix.trim_end_matches('-')).collect();
            let example = path.join(names[0]);
            let problem = format!("holds {}; choose one: --data {}", names.join(", "), example.display());
            return Err(Error::file(path, problem));
        }
        place(found.into_iter().next().unwrap_or_default())
    }

    /// Whether the training images are there. Where the folder cannot be read, whoever reads them will say why.
    pub fn is_there(&self) -> bool {
        let is_closed = |error: io::Error| error.kind() != io::ErrorKind::NotFound;
        present(&self.folder, &format!("{}{}", self.prefix, NAMES[0])).is_ok_and(|found| found.is_some())
            || fs::read_dir(&self.folder).is_err_and(is_closed)
    }

    /// Whether the files are those of EMNIST.
    pub fn is_emnist(&self) -> bool {
        self.prefix.starts_with("emnist-")
    }

    /// The file of this name, in any spelling.
    fn find(&self, name: &str) -> Result<PathBuf> {
        let name = format!("{}{name}", self.prefix);
        let found = match present(&self.folder, &name)? {
            None => present(&self.folder, &name.replace("t10k", "test"))?,
            found => found,
        };
        found.ok_or_else(|| {
            let folder = self.folder.display();
            let problem = format!(
                "no file {} here; `shadegrad data fetch mnist --to {folder}` downloads MNIST, and `--data builtin` needs no \
                 files",
                spellings(&name).join(", ")
            );
            Error::file(&self.folder, problem)
        })
    }
}

/// What stands before the names of training images in a folder, in the order of the alphabet.
fn prefixes(folder: &Path) -> BTreeSet<String> {
    let names =
        fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|name| {
            let plain = name.trim_end_matches(".gz").replace(".idx", "-idx");
            plain.strip_suffix(NAMES[0]).filter(|prefix| prefix.ends_with('-')).map(str::to_string)
        })
        .collect()
}

fn read_set(name: &str, images: &Path, labels: &Path) -> Result<Dataset> {
    let pixels = read_images(images)?;
    let count = pixels.count();
    let values = read_labels(labels)?;
    if values.len() != count {
        let problem = format!("has {} labels for the {count} images in {}", values.len(), images.display());
        return Err(Error::file(labels, problem));
    }
    let classes = values.iter().max().map_or(0, |&label| usize::from(label) + 1);
    Ok(Dataset { name: name.into(), images: pixels.pixels, labels: values, image_shape: pixels.shape, classes })
}

/// `[60000, 28, 28]` as people write it: "60000 x 28 x 28".
fn by(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}

// ---- one file ---------------------------------------------------------------------------------------------------

struct Array {
    sizes: Vec<usize>,
    bytes: Vec<u8>,
}

/// What is wrong, before the file it is wrong with is named.
#[derive(Debug)]
enum Fault {
    Io(io::Error),
    Content(String),
    /// There is no memory for so many bytes.
    Memory(u64),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        if is_broken_gzip(&error) { Fault::Content(format!("broken gzip stream: {error}")) } else { Fault::Io(error) }
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(Error::io("open", path))
}

fn read(source: impl Read, origin: &Path, ranks: RangeInclusive<u8>) -> Result<Array> {
    parse(source, ranks, MAX_UNPACKED).map_err(|fault| match fault {
        Fault::Io(source) => Error::io("read", origin)(source),
        Fault::Content(problem) => Error::file(origin, problem),
        Fault::Memory(bytes) => memory::lacking(bytes, &origin.display().to_string()),
    })
}

fn parse(source: impl Read, ranks: RangeInclusive<u8>, cap: u64) -> Result<Array, Fault> {
    let mut source = unpacked(source)?;
    let sizes = header(&mut source, ranks)?;
    let wanted = product(&sizes, cap)?;
    let bytes = exactly(&mut source, wanted, "data")?;
    // One byte further, to be sure that there is none; a packed stream checks its checksum on the way.
    match io::copy(&mut source.take(1), &mut io::sink())? {
        0 => Ok(Array { sizes, bytes }),
        _ => Err(Fault::Content(format!("goes on after the {wanted} bytes of data ({}) it declares", by(&sizes)))),
    }
}

fn header(source: &mut impl Read, ranks: RangeInclusive<u8>) -> Result<Vec<usize>, Fault> {
    let magic = exactly(source, 4, "magic number")?;
    let [0, 0, element, rank] = magic[..] else {
        return Err(Fault::Content(format!("not an IDX file: starts with {magic:02x?}, expected two zero bytes")));
    };
    if element != UNSIGNED_BYTE {
        return Err(Fault::Content(format!("element type is 0x{element:02x}, expected 0x08 (unsigned bytes)")));
    }
    if !ranks.contains(&rank) {
        let expected = if ranks == LABEL_RANKS { "1 (labels)" } else { "3 or 4 (images)" };
        return Err(Fault::Content(format!("number of dimensions is {rank}, expected {expected}")));
    }
    let sizes = exactly(source, 4 * usize::from(rank), "sizes")?;
    Ok(sizes.chunks_exact(4).map(|s| u32::from_be_bytes([s[0], s[1], s[2], s[3]]) as usize).collect())
}

/// The number of bytes an array of these sizes has.
fn product(sizes: &[usize], cap: u64) -> Result<usize, Fault> {
    if sizes.contains(&0) {
        return Err(Fault::Content(format!("declares an empty array, {}", by(sizes))));
    }
    sizes
        .iter()
        .try_fold(1_u64, |product, &size| product.checked_mul(size as u64))
        .filter(|&bytes| bytes <= cap)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| Fault::Content(format!("declares {} bytes, more than the limit of {cap}", by(sizes))))
}

/// Reads this many bytes, or says how many were missing. The buffer never holds more than `FIRST_STEP` or twice what
/// has arrived, whatever a header promised, and never more than `wanted`.
fn exactly(source: &mut impl Read, wanted: usize, what: &str) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    while bytes.len() < wanted {
        let step = bytes.len().max(FIRST_STEP).min(wanted - bytes.len());
        bytes.try_reserve_exact(step).map_err(|_| Fault::Memory(wanted as u64))?;
        let before = bytes.len();
        match source.take(step as u64).read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error.into()),
        }
        if bytes.len() < before + step {
            let problem = format!("truncated: expected {wanted} bytes of {what}, got {}", bytes.len());
            return Err(Fault::Content(problem));
        }
    }
    Ok(bytes)
}

fn write(path: &Path, sizes: &[usize], bytes: &[u8]) -> Result<()> {
    let sizes_u32: Option<Vec<u32>> = sizes.iter().map(|&size| size.try_into().ok()).collect();
    let Some(sizes_u32) = sizes_u32 else {
        return Err(Error::Usage(format!("{} is too large for an IDX file", by(sizes))));
    };
    let mut header = vec![0, 0, UNSIGNED_BYTE, sizes.len() as u8];
    header.extend(sizes_u32.into_iter().flat_map(u32::to_be_bytes));

    replace_file(path, |file| {
        if path.extension().is_some_and(|extension| extension == "gz") {
            let mut packer = GzEncoder::new(file, Compression::default());
            packer.write_all(&header)?;
            packer.write_all(bytes)?;
            packer.finish().map(|_| ())
        } else {
            file.write_all(&header)?;
            file.write_all(bytes)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    fn file(rank: u8, sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
        let mut file = vec![0, 0, 8, rank];
        file.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
        file.extend(bytes);
        file
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    fn images(bytes: &[u8]) -> Result<Array, Fault> {
        parse(bytes, IMAGE_RANKS, 1000)
    }

    /// What is said about these bytes, packed or not.
    fn complaint(bytes: &[u8]) -> String {
        let said = |bytes: &[u8]| match images(bytes) {
            Err(Fault::Content(problem)) => problem,
            Err(fault) => panic!("blamed on something else: {fault:?}"),
            Ok(_) => panic!("accepted"),
        };
        assert_eq!(said(bytes), said(&gzip(bytes)));
        said(bytes)
    }

    #[test]
    fn reads_three_and_four_dimensions() {
        let array = images(&file(3, &[2, 1, 3], b"abcdef")).unwrap();
        assert_eq!((array.sizes, array.bytes), (vec![2, 1, 3], b"abcdef".to_vec()));
        let array = images(&gzip(&file(4, &[1, 1, 2, 3], b"abcdef"))).unwrap();
        assert_eq!((array.sizes, array.bytes), (vec![1, 1, 2, 3], b"abcdef".to_vec()));
    }

    #[test]
    fn reads_gzip_in_several_members() {
        let bytes = file(3, &[2, 1, 3], b"abcdef");
        let members = [gzip(&bytes[..7]), gzip(&bytes[7..])].concat();
        assert_eq!(images(&members).unwrap().bytes, b"abcdef");
        // One of them may be empty.
        let members = [gzip(&bytes[..7]), gzip(b""), gzip(&bytes[7..]), gzip(b"")].concat();
        assert_eq!(images(&members).unwrap().bytes, b"abcdef");
    }

    /// As gzip(1) does: tapes fill their last block with them.
    #[test]
    fn zero_bytes_behind_a_gzip_stream_are_nothing() {
        let packed = gzip(&file(3, &[2, 1, 3], b"abcdef"));
        for zeros in [1, 2, 9, 512, 100_000] {
            assert_eq!(images(&[&packed[..], &vec![0; zeros]].concat()).unwrap().bytes, b"abcdef", "{zeros}");
        }
        // Not within it, and not behind what is not packed.
        assert!(images(&[&file(3, &[2, 1, 3], b"abcdef")[..], &[0]].concat()).is_err());
    }

    #[test]
    fn refuses_what_is_not_idx() {
        assert_eq!(complaint(b""), "truncated: expected 4 bytes of magic number, got 0");
        assert_eq!(complaint(b"\0\0\x08"), "truncated: expected 4 bytes of magic number, got 3");
        assert_eq!(complaint(b"\x89PNG"), "not an IDX file: starts with [89, 50, 4e, 47], expected two zero bytes");
        assert_eq!(
            complaint(b"\0\x01\x08\x03"),
            "not an IDX file: starts with [00, 01, 08, 03], expected two zero bytes"
        );
        assert_eq!(complaint(b"\0\0\x0d\x03"), "element type is 0x0d, expected 0x08 (unsigned bytes)");
        assert_eq!(complaint(b"\0\0\x08\x01"), "number of dimensions is 1, expected 3 or 4 (images)");
        assert_eq!(complaint(b"\0\0\x08\x05"), "number of dimensions is 5, expected 3 or 4 (images)");
        let Err(Fault::Content(labels)) = parse(&b"\0\0\x08\x03"[..], LABEL_RANKS, 10) else { panic!() };
        assert_eq!(labels, "number of dimensions is 3, expected 1 (labels)");
    }

    #[test]
    fn refuses_sizes_that_cannot_be() {
        assert_eq!(complaint(&file(3, &[1, 2], b"")), "truncated: expected 12 bytes of sizes, got 8");
        assert_eq!(complaint(&file(3, &[2, 0, 3], b"")), "declares an empty array, 2 x 0 x 3");
        assert_eq!(complaint(&file(3, &[10, 10, 11], b"")), "declares 10 x 10 x 11 bytes, more than the limit of 1000");
        // 2^96 and 2^64 are 0 in 64-bit arithmetic.
        let huge = 1 << 24;
        assert!(complaint(&file(4, &[huge; 4], b"")).contains("more than the limit"));
        assert!(complaint(&file(4, &[1 << 16; 4], b"")).contains("more than the limit"));
        assert!(images(&file(3, &[10, 10, 10], &[7; 1000])).is_ok());
    }

    #[test]
    fn refuses_too_little_and_too_much_data() {
        assert_eq!(complaint(&file(3, &[2, 1, 3], b"abcde")), "truncated: expected 6 bytes of data, got 5");
        assert_eq!(
            complaint(&file(3, &[2, 1, 3], b"abcdefg")),
            "goes on after the 6 bytes of data (2 x 1 x 3) it declares"
        );
    }

    #[test]
    fn refuses_broken_gzip() {
        let whole = gzip(&file(3, &[2, 1, 3], b"abcdef"));
        let said = |bytes: &[u8]| match images(bytes) {
            Err(Fault::Content(problem)) => problem,
            other => panic!("{:?}", other.err()),
        };
        let mut checksum = whole.clone();
        let at = whole.len() - 8;
        checksum[at] ^= 1;
        assert!(said(&checksum).starts_with("broken gzip stream"), "{}", said(&checksum));
        assert!(said(&whole[..whole.len() - 3]).starts_with("broken gzip stream"));
        assert!(said(&[&whole[..], b"tail"].concat()).starts_with("broken gzip stream"));
        assert!(said(&[&whole[..], b"\0\0tail"].concat()).starts_with("broken gzip stream"));
        assert!(said(&[&whole[..], b"\0\0", &whole[..]].concat()).starts_with("broken gzip stream"));
        assert!(said(&whole[..12]).starts_with("truncated"));
        assert!(said(b"\x1f\x8b").starts_with("truncated"));
    }

    /// Counts the bytes that were asked of a source.
    struct Counted<'a, R>(R, &'a Cell<u64>);

    impl<R: Read> Read for Counted<'_, R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let got = self.0.read(buffer)?;
            self.1.set(self.1.get() + got as u64);
            Ok(got)
        }
    }

    /// 64 MiB of zeros behind a header for 100 bytes pack into 64 KiB, of which only the first buffer may be read.
    #[test]
    fn a_gzip_bomb_is_not_unpacked() {
        let bomb = gzip(&file(3, &[1, 10, 10], &vec![0; 64 << 20]));
        assert!(bomb.len() > 60_000);
        let read = Cell::new(0);
        let Err(Fault::Content(problem)) = parse(Counted(&bomb[..], &read), IMAGE_RANKS, 1000) else { panic!() };
        assert!(problem.starts_with("goes on after the 100 bytes"), "{problem}");
        assert!(read.get() <= 16_384, "read {} bytes", read.get());
    }

    #[test]
    fn a_promise_of_gigabytes_allocates_none() {
        let promise = file(3, &[1 << 20, 28, 28], &[1; 5000]);
        let Err(Fault::Content(problem)) = parse(&promise[..], IMAGE_RANKS, MAX_UNPACKED) else { panic!() };
        assert_eq!(problem, "truncated: expected 822083584 bytes of data, got 5000");
    }

    #[test]
    fn buffers_grow_to_exactly_what_was_declared() {
        for wanted in [1, FIRST_STEP - 1, FIRST_STEP, FIRST_STEP + 1, 3 * FIRST_STEP + 17] {
            let bytes = exactly(&mut io::repeat(5), wanted, "data").unwrap();
            assert_eq!((bytes.len(), bytes.capacity()), (wanted, wanted));
        }
    }

    /// No machine has that much: reserving it would fail before the end of the source is noticed.
    #[test]
    fn buffers_follow_what_arrives() {
        let Err(Fault::Content(problem)) = exactly(&mut &[1; 100][..], isize::MAX as usize, "data") else { panic!() };
        assert!(problem.ends_with("got 100"), "{problem}");
    }

    /// Headers that are nearly right reach the code behind the first checks.
    fn nearly_idx() -> impl Strategy<Value = Vec<u8>> {
        let sizes = proptest::collection::vec(0_u32..12, 0..5);
        let tail = proptest::collection::vec(any::<u8>(), 0..300);
        (0_u8..6, sizes, tail).prop_map(|(rank, sizes, tail)| file(rank, &sizes, &tail))
    }

    fn check_any(bytes: &[u8], ranks: RangeInclusive<u8>, cap: u64) -> Result<(), TestCaseError> {
        match parse(bytes, ranks, cap) {
            Ok(array) => {
                prop_assert!(array.bytes.capacity() as u64 <= cap);
                prop_assert_eq!(array.bytes.len(), array.sizes.iter().product::<usize>());
            }
            Err(Fault::Content(problem)) => prop_assert!(!problem.is_empty()),
            Err(fault) => prop_assert!(false, "blamed on something else: {:?}", fault),
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_array_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            check_any(&bytes, IMAGE_RANKS, 200)?;
            check_any(&[b"\x1f\x8b", &bytes[..]].concat(), IMAGE_RANKS, 200)?;
            check_any(&gzip(&bytes), LABEL_RANKS, 200)?;
        }

        #[test]
        fn nearly_right_bytes_are_an_array_or_an_error(bytes in nearly_idx()) {
            check_any(&bytes, IMAGE_RANKS, 200)?;
            check_any(&gzip(&bytes), LABEL_RANKS, 200)?;
        }

        #[test]
        fn a_flipped_bit_in_gzip_never_panics(at in 0_usize..30, bit in 0_u32..8) {
            let mut bytes = gzip(&file(3, &[2, 1, 3], b"abcdef"));
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            check_any(&bytes, IMAGE_RANKS, 200)?;
        }
    }
}
