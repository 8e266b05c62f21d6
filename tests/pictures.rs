//! Pictures as written by cameras, scanners and drawing programs: the digit does not depend on the encoding. Also
//! truncated files, and files that require much memory.

#![cfg(feature = "cli")]

#[path = "common/place.rs"]
mod place;

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb};
use peak_alloc::PeakAlloc;
use place::Place;
use shadegrad::Error;
use shadegrad::data::form::Form;
use shadegrad::data::prepare::{ends_early, prepare, prepare_from};
use shadegrad::network::Network;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const SHAPE: [usize; 3] = [28, 28, 1];

/// Tests run one at a time, so that each measures its own memory.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_tests(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(name)).unwrap()
}

fn seven() -> GrayImage {
    image::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits/seven.png")).unwrap().into_luma8()
}

/// The picture in `cmyk.jpg` and `palette.png`: a dark ring on light paper, open at its upper right.
fn ring() -> GrayImage {
    GrayImage::from_fn(100, 120, |x, y| {
        let distance = (f64::from(x) - 50.0).hypot(f64::from(y) - 70.0);
        let open = x > 50 && y < 64;
        Luma([if (20.0..28.0).contains(&distance) && !open { 30 } else { 220 }])
    })
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    encoded(image, ImageFormat::Png)
}

fn prepared(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    prepare_from(Cursor::new(bytes), Path::new("picture"), SHAPE, &Form::mnist(SHAPE))
}

fn refusal(bytes: &[u8]) -> String {
    let error = prepared(bytes).unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
    error.to_string()
}

fn difference(one: &[u8], other: &[u8]) -> u8 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(one, other)| one.abs_diff(*other)).max().unwrap()
}

/// A JPEG file with this orientation in its EXIF segment.
fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    // TIFF, little-endian: a directory with one entry (orientation, a single 16-bit number), and no further directory.
    let tiff = [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", &[orientation, 0, 0, 0][..], &[0; 4]].concat();
    let segment = [b"Exif\0\0", &tiff[..]].concat();
    let length = (segment.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &segment, &jpeg[2..]].concat()
}

#[test]
fn a_turned_camera_is_turned_back() {
    let _turn = alone();
    let plain = prepared(&png(seven())).unwrap();
    // The inverse of each of the eight orientations.
    for (orientation, inverse) in [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 8), (7, 7), (8, 6)] {
        let mut stored = DynamicImage::from(seven());
        stored.apply_orientation(Orientation::from_exif(inverse).unwrap());
        let jpeg = encoded(stored, ImageFormat::Jpeg);
        let upright = prepared(&turned(&jpeg, orientation)).unwrap();
        let apart = difference(&upright, &plain);
        assert!(apart < 48, "{orientation}: {apart}");
        let untouched = difference(&prepared(&jpeg).unwrap(), &plain);
        assert!(orientation == 1 || untouched > 128, "{orientation}: {untouched}");
    }
}

#[test]
fn ink_on_transparency_is_ink_on_paper() {
    let _turn = alone();
    let seven = seven();
    let opacity = ImageBuffer::from_fn(200, 240, |x, y| LumaA([0u8, 255 - seven.get_pixel(x, y).0[0]]));
    let plain = prepared(&png(seven)).unwrap();
    assert!(difference(&prepared(&png(opacity)).unwrap(), &plain) < 8);
}

#[test]
fn sixteen_bits_are_read_as_eight() {
    let _turn = alone();
    let seven = seven();
    let plain = prepared(&png(seven.clone())).unwrap();
    let wide = |x, y| u16::from(seven.get_pixel(x, y).0[0]) * 257;
    let grey = ImageBuffer::from_fn(200, 240, |x, y| Luma([wide(x, y)]));
    let colour = ImageBuffer::from_fn(200, 240, |x, y| Rgb([wide(x, y); 3]));
    assert_eq!(prepared(&png(grey)).unwrap(), plain);
    assert_eq!(prepared(&png(colour)).unwrap(), plain);
}

#[test]
fn palettes_and_printing_inks_are_colours() {
    let _turn = alone();
    let plain = prepared(&png(ring())).unwrap();
    assert_eq!(prepared(&in_tests("palette.png")).unwrap(), plain);
    let printed = difference(&prepared(&in_tests("cmyk.jpg")).unwrap(), &plain);
    assert!(printed < 48, "{printed}");
}

// ---- files that end early -----------------------------------------------------------------------------------------

#[test]
fn few_missing_rows_are_left_out_and_more_are_refused() {
    let _turn = alone();
    let whole = in_tests("subsampled.jpg");
    let (digit, length) = (prepared(&whole).unwrap(), whole.len());
    assert_eq!(prepared(&whole[..length - 2]).unwrap(), digit);
    assert_eq!(prepared(&whole[..length - 20]).unwrap(), digit);
    let said = refusal(&whole[..length / 2]);
    assert!(said.starts_with("picture: the file ends early, and at most "), "{said}");
    assert!(said.ends_with(" of 240 rows of pixels are present: copy or save the picture again"), "{said}");
}

#[test]
fn a_blur_is_refused_but_lower_precision_is_not() {
    let _turn = alone();
    let whole = in_tests("progressive.jpg");
    let digit = prepared(&whole).unwrap();
    assert_eq!(prepared(&whole[..whole.len() - 2]).unwrap(), digit);
    let said = refusal(&whole[..whole.len() / 4]);
    assert!(
        said.starts_with("picture: the file ends early, and only a blurred version of its picture is present: "),
        "{said}"
    );
}

#[test]
fn a_png_that_ends_early_is_refused() {
    let _turn = alone();
    let whole = png(seven());
    // The second one lacks only its last chunk.
    for length in [whole.len() / 2, whole.len() - 12] {
        let said = refusal(&whole[..length]);
        assert_eq!(said, "picture: the file ends early, and its picture is incomplete: copy or save the picture again");
    }
}

#[test]
fn predict_notes_a_file_that_ends_early() {
    let _turn = alone();
    let place = Place::new();
    let network = Network::open(place.path("tiny.toml").to_str().unwrap()).unwrap();
    network.initialize(1).save(&network, &place.path("good.safetensors")).unwrap();
    let note = "the file ends early, and a part of the picture may be missing";
    for name in ["subsampled.jpg", "progressive.jpg"] {
        let bytes = in_tests(name);
        let answer = |what: &[u8]| {
            fs::write(place.path("a.jpg"), what).unwrap();
            let output = place.run("predict good.safetensors a.jpg --device cpu");
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            let noted = String::from_utf8(output.stderr).unwrap().contains(&format!("note: a.jpg: {note}"));
            assert_eq!(ends_early(&place.path("a.jpg")).unwrap(), noted);
            (String::from_utf8(output.stdout).unwrap(), noted)
        };
        let (whole, noted) = answer(&bytes);
        assert!(whole.starts_with("a.jpg: ") && !noted, "{name}");
        assert_eq!(answer(&bytes[..bytes.len() - 2]), (whole, true), "{name}");
        fs::write(place.path("part.jpg"), &bytes[..bytes.len() / 3]).unwrap();
        let says = ["part.jpg", "the file ends early", "copy or save the picture again"];
        place.refuses(1, "predict good.safetensors part.jpg --device cpu", &says);
    }
}

// ---- files that want much memory ----------------------------------------------------------------------------------

/// A PNG file with an additional chunk after its header.
fn with_chunk(png: &[u8], name: &[u8], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(name);
    crc.update(data);
    let length = (data.len() as u32).to_be_bytes();
    let header = 8 + 12 + 13;
    [&png[..header], &length, name, data, &crc.sum().to_be_bytes(), &png[header..]].concat()
}

/// A colour profile that unpacks to more than any real one is unpacked only up to the limit, and the picture is read
/// without it.
#[test]
fn a_huge_compressed_profile_takes_little_memory() {
    const UNPACKED_MIB: usize = 64;
    let _turn = alone();
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    (0..UNPACKED_MIB).for_each(|_| packer.write_all(&vec![0; 1 << 20]).unwrap());
    let profile = [&b"profile\0\0"[..], &packer.finish().unwrap()].concat();
    let plain = png(seven());
    let file = with_chunk(&plain, b"iCCP", &profile);
    let expected = prepared(&plain).unwrap();
    let before = ALLOCATED.current_usage_as_mb();
    ALLOCATED.reset_peak_usage();
    assert_eq!(prepared(&file).unwrap(), expected);
    let took = ALLOCATED.peak_usage_as_mb() - before;
    assert!(took < UNPACKED_MIB as f32 * 0.75, "{took} MiB");
}

#[test]
fn too_much_data_besides_the_pixels_is_refused() {
    let _turn = alone();
    let remedy = "picture: has more than 16 MiB of data besides its pixels, such as a colour profile or texts: save the picture without it";
    let text = [&b"Comment\0"[..], &vec![b' '; 17 << 20]].concat();
    assert_eq!(refusal(&with_chunk(&png(seven()), b"tEXt", &text)), remedy);
    let whole = in_tests("subsampled.jpg");
    let segment = [&[0xff, 0xe2, 0xff, 0xff][..], b"ICC_PROFILE\0\x01\x01", &[0; 65_519]].concat();
    let profile = |segments| [&whole[..2], &segment.repeat(segments), &whole[2..]].concat();
    assert_eq!(refusal(&profile(257)), remedy);
    assert_eq!(prepared(&profile(2)).unwrap(), prepared(&whole).unwrap());
}

#[test]
fn an_enormous_file_is_refused_unread() {
    let _turn = alone();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("long.png");
    fs::File::create(&path).unwrap().set_len(513 << 20).unwrap();
    let said = prepare(&path, SHAPE, &Form::mnist(SHAPE)).unwrap_err().to_string();
    assert!(said.ends_with("long.png: the file has 513 MiB, but a picture may have at most 512"), "{said}");
}
