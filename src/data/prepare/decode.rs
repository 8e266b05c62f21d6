//! From the bytes of a file to its pixels, upright and of eight bits a channel.

use std::io::{self, BufRead, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use image::{DynamicImage, GenericImageView, ImageDecoder, ImageError, ImageReader, Limits};

use crate::error::{Error, Result};

/// Larger images are refused before they are decoded.
const MAX_PIXELS: u64 = 1 << 26;
/// Longer files are refused before they are read: as many bytes as the most pixels have uncompressed.
const MAX_FILE: u64 = MAX_PIXELS * 8;
/// Bytes that a file may want beside its pixels: a colour profile and texts, which no digit needs.
const MAX_BESIDE: u64 = 16 << 20;

/// Decodes a PNG or JPEG file. At most 16 bytes a pixel are held at a time, 1 GiB for the largest picture.
pub fn decode(source: &mut (impl BufRead + Seek), origin: &Path) -> Result<DynamicImage> {
    let not_an_image = |error: ImageError| match error {
        ImageError::IoError(error) if error.kind() != ErrorKind::UnexpectedEof => Error::io("read", origin)(error),
        ImageError::Unsupported(_) => Error::file(origin, "not a PNG or JPEG image that can be read here"),
        ImageError::Limits(_) => Error::file(
            origin,
            format!(
                "wants more than {} MiB beside its pixels, for a colour profile or texts: save the picture without them",
                MAX_BESIDE >> 20
            ),
        ),
        error => Error::file(origin, format!("not a readable image: {error}")),
    };
    let cut = ends_early(source).map_err(Error::io("read", origin))?;
    let length = source.seek(SeekFrom::End(0)).map_err(Error::io("read", origin))?;
    if length > MAX_FILE {
        return Err(Error::file(origin, format!("{length} bytes, more than {} MiB", MAX_FILE >> 20)));
    }
    source.rewind().map_err(Error::io("read", origin))?;
    let mut reader = ImageReader::new(source).with_guessed_format().map_err(Error::io("read", origin))?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_BESIDE);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(not_an_image)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        let megapixels = MAX_PIXELS >> 20;
        return Err(Error::file(origin, format!("{width} x {height} pixels, more than {megapixels} megapixels")));
    }
    let orientation = decoder.orientation().map_err(not_an_image)?;
    let mut image = of_eight_bits(DynamicImage::from_decoder(decoder).map_err(not_an_image)?);
    if cut {
        image = without_filling(image);
    }
    image.apply_orientation(orientation);
    Ok(image)
}

fn of_eight_bits(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageLuma16(_) => image.into_luma8().into(),
        DynamicImage::ImageLumaA16(_) => image.into_luma_alpha8().into(),
        DynamicImage::ImageRgb16(_) => image.into_rgb8().into(),
        DynamicImage::ImageRgba16(_) => image.into_rgba8().into(),
        image => image,
    }
}

/// Without the rows of one colour at the bottom, which the decoder puts for those that are missing.
fn without_filling(image: DynamicImage) -> DynamicImage {
    let (width, height) = image.dimensions();
    if width == 0 || height == 0 {
        return image;
    }
    let filling = image.get_pixel(0, height - 1);
    let filled = (0..height).rev().take_while(|y| (0..width).all(|x| image.get_pixel(x, *y) == filling)).count() as u32;
    if filled == height { image } else { image.crop_imm(0, 0, width, height - filled) }
}

/// Whether this is a JPEG file without its end mark. The source is left at its start.
pub fn ends_early(source: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    source.rewind()?;
    let cut = match walk(source) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => true,
        ended => !ended?,
    };
    source.rewind()?;
    Ok(cut)
}

/// Goes from mark to mark. True at the end mark, and if this is no JPEG; an unexpected end of the file is an error.
fn walk(source: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    let mut start = Vec::new();
    source.take(2).read_to_end(&mut start)?;
    if start != [0xff, 0xd8] {
        return Ok(true);
    }
    loop {
        if byte(source)? != 0xff {
            continue;
        }
        let mut mark = byte(source)?;
        while mark == 0xff {
            mark = byte(source)?;
        }
        match mark {
            0xd9 => return Ok(true),
            // A byte of 255 in the data, and marks that stand alone.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                let length = u16::from_be_bytes([byte(source)?, byte(source)?]);
                source.seek_relative(i64::from(length.saturating_sub(2)))?;
            }
        }
    }
}

fn byte(source: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    source.read_exact(&mut byte)?;
    Ok(byte[0])
}
