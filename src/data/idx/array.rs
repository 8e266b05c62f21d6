//! A single IDX file: its header is checked before anything is allocated for it, and its bytes are read as they arrive.

use crate::data::dataset::by;
use crate::data::unpack::{is_broken_gzip, unpacked};
use crate::error::{Error, Result};
use crate::files::replace_file;
use crate::memory;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::RangeInclusive;
use std::path::Path;

/// Most bytes that a file may unpack to.
pub const MAX_UNPACKED: u64 = 2 << 30;

const UNSIGNED_BYTE: u8 = 8;
/// Buffers start at this size in bytes and double, up to the declared size.
const FIRST_STEP: usize = 1 << 20;

pub(super) const IMAGE_RANKS: RangeInclusive<u8> = 3..=4;
pub(super) const LABEL_RANKS: RangeInclusive<u8> = 1..=1;

/// The content of one file.
pub(super) struct Array {
    pub sizes: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// What is wrong, without the name of the file.
#[derive(Debug)]
enum Fault {
    Io(io::Error),
    Content(String),
    /// There is not enough memory for this many bytes.
    Memory(u64),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        if is_broken_gzip(&error) { Fault::Content(format!("broken gzip stream: {error}")) } else { Fault::Io(error) }
    }
}

pub(super) fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(Error::io("open", path))
}

/// Reads the array of a file of one of these ranks; `origin` is named in errors.
pub(super) fn read(source: impl Read, origin: &Path, ranks: RangeInclusive<u8>) -> Result<Array> {
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
    // Reads one byte more, to be sure that there is none; a gzip stream verifies its checksum there.
    match io::copy(&mut source.take(1), &mut io::sink())? {
        0 => Ok(Array { sizes, bytes }),
        _ => {
            Err(Fault::Content(format!("continues after the {wanted} bytes of data ({}) that it declares", by(&sizes))))
        }
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

/// Number of bytes in an array of these sizes.
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
/// has arrived, whatever the header declares, and never more than `wanted`.
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

/// Writes a file; compressed if the name ends in `.gz`.
pub(super) fn write(path: &Path, sizes: &[usize], bytes: &[u8]) -> Result<()> {
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

    /// The error for these bytes, whether compressed or not.
    fn complaint(bytes: &[u8]) -> String {
        let said = |bytes: &[u8]| match images(bytes) {
            Err(Fault::Content(problem)) => problem,
            Err(fault) => panic!("wrong kind of error: {fault:?}"),
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
        // A member may be empty.
        let members = [gzip(&bytes[..7]), gzip(b""), gzip(&bytes[7..]), gzip(b"")].concat();
        assert_eq!(images(&members).unwrap().bytes, b"abcdef");
    }

    /// gzip(1) accepts them too: tapes pad their last block with zeros.
    #[test]
    fn zero_bytes_behind_a_gzip_stream_are_nothing() {
        let packed = gzip(&file(3, &[2, 1, 3], b"abcdef"));
        for zeros in [1, 2, 9, 512, 100_000] {
            assert_eq!(images(&[&packed[..], &vec![0; zeros]].concat()).unwrap().bytes, b"abcdef", "{zeros}");
        }
        // But not inside a stream, nor after uncompressed data.
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
            "continues after the 6 bytes of data (2 x 1 x 3) that it declares"
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

    /// Counts the bytes requested from a source.
    struct Counted<'a, R>(R, &'a Cell<u64>);

    impl<R: Read> Read for Counted<'_, R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let got = self.0.read(buffer)?;
            self.1.set(self.1.get() + got as u64);
            Ok(got)
        }
    }

    /// 64 MiB of zeros after a header for 100 bytes compress to 64 KiB, of which only the first buffer may be read.
    #[test]
    fn a_gzip_bomb_is_not_unpacked() {
        let bomb = gzip(&file(3, &[1, 10, 10], &vec![0; 64 << 20]));
        assert!(bomb.len() > 60_000);
        let read = Cell::new(0);
        let Err(Fault::Content(problem)) = parse(Counted(&bomb[..], &read), IMAGE_RANKS, 1000) else { panic!() };
        assert!(problem.starts_with("continues after the 100 bytes"), "{problem}");
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

    /// No machine has that much memory: reserving it would fail before the end of the source is noticed.
    #[test]
    fn buffers_follow_what_arrives() {
        let Err(Fault::Content(problem)) = exactly(&mut &[1; 100][..], isize::MAX as usize, "data") else { panic!() };
        assert!(problem.ends_with("got 100"), "{problem}");
    }

    /// Headers that are almost valid reach the code after the first checks.
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
            Err(fault) => prop_assert!(false, "wrong kind of error: {:?}", fault),
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
