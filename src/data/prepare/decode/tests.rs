//! Files truncated at any byte.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GenericImageView};

use super::{decode, ends_early, jpeg};

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(name)).unwrap()
}

fn decoded(bytes: &[u8]) -> Result<DynamicImage, String> {
    decode(&mut Cursor::new(bytes), Path::new("cut")).map_err(|error| error.to_string())
}

/// The largest difference, out of 255, between two pictures of equal width, in the rows that both have.
fn difference(one: &DynamicImage, other: &DynamicImage) -> u8 {
    assert_eq!(one.width(), other.width());
    one.as_bytes().iter().zip(other.as_bytes()).map(|(one, other)| one.abs_diff(*other)).max().unwrap_or(0)
}

/// A picture that is accepted holds only pixels of the complete picture.
#[test]
fn of_a_cut_baseline_file_only_true_rows_are_kept() {
    let bytes = file("subsampled.jpg");
    let whole = decoded(&bytes).unwrap();
    let (mut kept, mut refused) = (0, 0);
    for length in 3..bytes.len() - 1 {
        assert!(ends_early(&mut Cursor::new(&bytes[..length])).unwrap(), "{length}");
        match decoded(&bytes[..length]) {
            Ok(cut) => {
                assert!(cut.height() * 8 >= whole.height() * 7, "{length}: {} rows", cut.height());
                // The row above the cut is interpolated with missing rows below it.
                let sure = cut.crop_imm(0, 0, cut.width(), cut.height() - 1);
                assert_eq!(difference(&sure, &whole), 0, "{length}");
                assert!(difference(&cut, &whole) < 64, "{length}");
                kept += 1;
            }
            Err(said) => {
                assert!(said.starts_with("cut: the file ends early, and "), "{length}: {said}");
                assert!(said.ends_with(": copy or save the picture again"), "{length}: {said}");
                refused += 1;
            }
        }
    }
    assert!(kept > 10 && refused > kept, "{kept} kept, {refused} refused");
}

/// A progressive file starts with a coarse version of the whole picture: a blur is rejected, lower precision is not.
#[test]
fn a_cut_progressive_file_is_refused_while_it_is_a_blur() {
    let bytes = file("progressive.jpg");
    let whole = decoded(&bytes).unwrap();
    let answered: Vec<bool> = (3..bytes.len() - 1)
        .map(|length| match decoded(&bytes[..length]) {
            Ok(cut) => {
                assert_eq!(cut.dimensions(), whole.dimensions());
                let apart =
                    cut.as_bytes().iter().zip(whole.as_bytes()).map(|(one, other)| u64::from(one.abs_diff(*other)));
                let apart = apart.sum::<u64>() as f64 / whole.as_bytes().len() as f64;
                assert!(apart < 2.0, "{length}: {apart}");
                true
            }
            Err(said) => {
                assert!(said.starts_with("cut: the file ends early, and "), "{length}: {said}");
                false
            }
        })
        .collect();
    let first = answered.iter().position(|answered| *answered).unwrap();
    // The decoder fails if the header of a later scan is truncated.
    let given_up = answered[first..].iter().filter(|answered| !**answered).count();
    assert!(given_up * 5 < answered.len() - first, "{given_up} of {}", answered.len() - first);
    assert!(first > 1000, "answered from {first} bytes of {}", bytes.len());
}

#[test]
fn what_lies_behind_the_end_mark_is_no_matter() {
    for name in ["subsampled.jpg", "progressive.jpg", "cmyk.jpg"] {
        let bytes = file(name);
        assert!(!ends_early(&mut Cursor::new(&bytes)).unwrap(), "{name}");
        let longer = [&bytes[..], b"a video, say"].concat();
        assert!(!ends_early(&mut Cursor::new(&longer)).unwrap(), "{name}");
        assert_eq!(decoded(&longer).unwrap(), decoded(&bytes).unwrap(), "{name}");
    }
    assert!(!ends_early(&mut Cursor::new(file("palette.png"))).unwrap());
    assert!(!ends_early(&mut Cursor::new([])).unwrap());
}

/// The end marker of a thumbnail within a segment is not that of the file.
#[test]
fn an_end_mark_within_a_segment_does_not_count() {
    let bytes = file("subsampled.jpg");
    let segment = [&[0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9], &bytes[2..]].concat();
    let with_copy = [&bytes[..2], &segment].concat();
    let survey = |bytes: &[u8]| jpeg::survey(&mut Cursor::new(bytes)).unwrap();
    assert_eq!((survey(&with_copy).ended, survey(&with_copy).beside), (true, survey(&bytes).beside + 4));
    assert!(!survey(&with_copy[..with_copy.len() - 2]).ended);
    assert_eq!(survey(&bytes).band, 16);
}

#[test]
fn a_cut_png_is_read_whole_or_not_at_all() {
    let bytes = file("palette.png");
    let whole = decoded(&bytes).unwrap();
    for length in 8..bytes.len() {
        match decoded(&bytes[..length]) {
            Ok(picture) => assert_eq!(picture, whole, "{length}"),
            Err(said) => {
                assert!(
                    said.starts_with("cut: the file ends early, and its picture is incomplete"),
                    "{length}: {said}"
                );
            }
        }
    }
}
