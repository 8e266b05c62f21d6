//! Decodes the bytes of a file to upright pixels with eight bits per channel.

mod jpeg;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Cursor, ErrorKind, Seek, SeekFrom};
use std::path::Path;

use image::{DynamicImage, GenericImageView, ImageDecoder, ImageError, ImageReader, Limits};

use self::jpeg::Survey;
use crate::error::{Error, Result};

/// Larger images are rejected before they are decoded.
const MAX_PIXELS: u64 = 1 << 26;
/// Longer files are rejected before they are read: this is the uncompressed size of the largest image.
const MAX_FILE: u64 = MAX_PIXELS * 8;
/// Bytes that a file may have besides its pixels: a colour profile and texts, which no digit needs.
const MAX_BESIDE: u64 = 16 << 20;
/// Value that the decoder puts into every channel of the pixels that are missing from a JPEG file.
const FILLING: u8 = 128;
/// A file in which more than one in this many rows is missing is rejected, since a digit may be cut off.
const MAY_LACK_ONE_IN: u32 = 8;

/// Decodes a PNG or JPEG file. Holds at most 16 bytes per pixel at a time, 1 GiB for the largest picture.
///
/// A truncated JPEG file is decoded without the missing rows if they are few ([`MAY_LACK_ONE_IN`]).
pub fn decode(source: &mut (impl BufRead + Seek), origin: &Path) -> Result<DynamicImage> {
    let cannot_read = |error| Error::io("read", origin)(error);
    let length = source.seek(SeekFrom::End(0)).map_err(cannot_read)?;
    if length > MAX_FILE {
        let problem = format!("the file has {} MiB, but a picture may have at most {}", length >> 20, MAX_FILE >> 20);
        return Err(Error::file(origin, problem));
    }
    if !jpeg::is_jpeg(source).map_err(cannot_read)? {
        return upright(source, None, origin);
    }
    // The decoder needs the whole file in memory anyway, so it is read only once.
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes).map_err(cannot_read)?;
    let survey = jpeg::survey(&mut Cursor::new(&bytes)).map_err(cannot_read)?;
    if survey.beside > MAX_BESIDE {
        return Err(Error::file(origin, too_much_beside()));
    }
    upright(Cursor::new(bytes), Some(&survey).filter(|survey| !survey.ended), origin)
}

/// The picture in a file, upright; `cut` describes a JPEG file that is truncated.
fn upright(source: impl BufRead + Seek, cut: Option<&Survey>, origin: &Path) -> Result<DynamicImage> {
    let cannot_decode = |error| undecoded(error, cut.is_some(), origin);
    let mut reader = ImageReader::new(source).with_guessed_format().map_err(Error::io("read", origin))?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_BESIDE);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(cannot_decode)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        let megapixels = MAX_PIXELS >> 20;
        return Err(Error::file(
            origin,
            format!("has {width} x {height} pixels, more than the limit of {megapixels} megapixels"),
        ));
    }
    let orientation = decoder.orientation().map_err(cannot_decode)?;
    let mut image = of_eight_bits(DynamicImage::from_decoder(decoder).map_err(cannot_decode)?);
    if let Some(survey) = cut {
        image = without_filling(image, survey).map_err(|lack| Error::file(origin, ends_early_with(&lack)))?;
    }
    image.apply_orientation(orientation);
    Ok(image)
}

/// The reason why a file could not be decoded; `cut` says whether it is a truncated JPEG file.
fn undecoded(error: ImageError, cut: bool, origin: &Path) -> Error {
    let problem = match error {
        ImageError::IoError(error) if error.kind() != ErrorKind::UnexpectedEof => {
            return Error::io("read", origin)(error);
        }
        ImageError::Unsupported(_) => "not a PNG or JPEG image, or one of an unsupported kind".into(),
        ImageError::Limits(_) => too_much_beside(),
        ImageError::IoError(_) => ends_early_with("its picture is incomplete"),
        _ if cut => ends_early_with("the rest cannot be decoded"),
        error => format!("not a readable image: {error}"),
    };
    Error::file(origin, problem)
}

fn too_much_beside() -> String {
    let most = MAX_BESIDE >> 20;
    format!(
        "has more than {most} MiB of data besides its pixels, such as a colour profile or texts: save the picture without it"
    )
}

fn ends_early_with(lack: &str) -> String {
    format!("the file ends early, and {lack}: copy or save the picture again")
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

/// Crops a truncated JPEG picture to the rows that are present, or says what is missing.
fn without_filling(image: DynamicImage, survey: &Survey) -> Result<DynamicImage, String> {
    if survey.is_whole_picture() {
        return Ok(image);
    }
    if survey.is_blurred() {
        return Err("only a blurred version of its picture is present".into());
    }
    let (width, height) = image.dimensions();
    let row = image.as_bytes().len() / height.max(1) as usize;
    let is_filling = |row: &[u8]| row.iter().all(|byte| *byte == FILLING);
    let filled = image.as_bytes().rchunks(row.max(1)).take_while(|row| is_filling(row)).count() as u32;
    // It is not known where in its last band the data ends.
    let there = (height - filled).div_ceil(survey.band).saturating_sub(1) * survey.band;
    if (height - there) * MAY_LACK_ONE_IN > height {
        return Err(format!("at most {there} of {height} rows of pixels are present"));
    }
    Ok(image.crop_imm(0, 0, width, there))
}

/// Whether this is a JPEG file without its end marker. The last bytes decide for most files. The position in the source
/// is undefined afterwards.
pub fn ends_early(source: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    Ok(jpeg::is_jpeg(source)? && !jpeg::ends_with_mark(source)? && !jpeg::survey(source)?.ended)
}
