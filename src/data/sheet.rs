//! Contact sheets: many samples on one page, each enlarged, with its label below.
//!
//! The quickest way to see what is in a data set, or what a network got wrong.

use std::io::Write;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};

use super::Dataset;
use crate::error::{Error, Result};
use crate::files::{check_place, replace_file};

/// Samples are enlarged by the largest integer factor that keeps them within this many pixels.
const SAMPLE_SIDE: usize = 84;
const MARGIN: usize = 6;
/// Width and height of a font pixel.
const DOT: usize = 2;
const GLYPH_WIDTH: usize = 3;
const GLYPH_HEIGHT: usize = 5;
const LABEL_HEIGHT: usize = GLYPH_HEIGHT * DOT + MARGIN;
const MAX_PIXELS: usize = 1 << 26;

const PAPER: Rgb<u8> = Rgb([238, 240, 242]);
const PENCIL: Rgb<u8> = Rgb([96, 108, 120]);
/// Colours of the darkest and the brightest pixel of grey samples.
const BACKGROUND: Rgb<u8> = Rgb([30, 41, 54]);
const INK: Rgb<u8> = Rgb([250, 246, 235]);

/// The digits 0 to 9, three dots wide and five high; the highest bit of each row is its left dot.
const DIGITS: [[u8; GLYPH_HEIGHT]; 10] = [
    [0b111, 0b101, 0b101, 0b101, 0b111],
    [0b010, 0b110, 0b010, 0b010, 0b111],
    [0b111, 0b001, 0b111, 0b100, 0b111],
    [0b111, 0b001, 0b111, 0b001, 0b111],
    [0b101, 0b101, 0b111, 0b001, 0b001],
    [0b111, 0b100, 0b111, 0b001, 0b111],
    [0b111, 0b100, 0b111, 0b101, 0b111],
    [0b111, 0b001, 0b010, 0b010, 0b010],
    [0b111, 0b101, 0b111, 0b101, 0b111],
    [0b111, 0b101, 0b111, 0b001, 0b111],
];

/// The arrow between two numbers of a caption.
const ARROW: [u8; GLYPH_HEIGHT] = [0b100, 0b010, 0b001, 0b010, 0b100];

/// Draws the samples with these indices in rows of `columns`, each above its label.
///
/// # Errors
///
/// [`Error::Usage`] if there is nothing to draw, a sample does not exist, `columns` is 0, the sheet would exceed 64
/// megapixels, or the images are neither grey nor RGB.
pub fn contact_sheet(set: &Dataset, indices: &[usize], columns: usize) -> Result<RgbImage> {
    // All labels take the width of the widest, so that sheets of one set look alike.
    let widest = text_width(&set.classes().saturating_sub(1).to_string());
    sheet(set, indices, columns, widest, &|index| set.labels()[index].to_string())
}

/// Like [`contact_sheet`], with a caption of digits and `>` for each sample: `4>9`.
///
/// # Errors
///
/// Those of [`contact_sheet`].
pub fn captioned_sheet(
    set: &Dataset,
    indices: &[usize],
    columns: usize,
    caption: &dyn Fn(usize) -> String,
) -> Result<RgbImage> {
    sheet(set, indices, columns, 0, caption)
}

fn sheet(
    set: &Dataset,
    indices: &[usize],
    columns: usize,
    widest: usize,
    caption: &dyn Fn(usize) -> String,
) -> Result<RgbImage> {
    let columns = columns.min(indices.len());
    check(set, indices, columns)?;
    let [height, width, _] = set.shape();
    let scale = (SAMPLE_SIDE / height.max(width).max(1)).max(1);
    let captions: Vec<String> = indices.iter().map(|index| caption(*index)).collect();
    let widest = captions.iter().map(|caption| text_width(caption)).fold(widest, usize::max);
    let cell_width = (width * scale).max(widest) + MARGIN;
    let cell_height = height * scale + LABEL_HEIGHT + MARGIN;
    let rows = indices.len().div_ceil(columns);
    let (sheet_width, sheet_height) = (columns * cell_width + MARGIN, rows * cell_height + MARGIN);
    if sheet_width.saturating_mul(sheet_height) > MAX_PIXELS {
        let problem = format!("{sheet_width} x {sheet_height} pixels are too many for a sheet; choose fewer samples");
        return Err(Error::Usage(problem));
    }

    let mut sheet = RgbImage::from_pixel(sheet_width as u32, sheet_height as u32, PAPER);
    for (place, &index) in indices.iter().enumerate() {
        let (left, top) = (MARGIN + place % columns * cell_width, MARGIN + place / columns * cell_height);
        draw_sample(&mut sheet, left, top, set, index, scale);
        draw_caption(&mut sheet, left, top + height * scale + MARGIN / 2, &captions[place]);
    }
    Ok(sheet)
}

/// The file formats of contact sheets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Png,
    Jpeg,
}

impl Format {
    /// The format for the suffix of a file name. Names without one, such as `/dev/stdout`, get a PNG.
    fn of(path: &Path) -> Result<Format> {
        let Some(ending) = path.extension() else { return Ok(Format::Png) };
        match ending.to_string_lossy().to_lowercase().as_str() {
            "png" => Ok(Format::Png),
            "jpg" | "jpeg" => Ok(Format::Jpeg),
            _ => Err(Error::file(path, "expected a file name that ends in .png, .jpg or .jpeg")),
        }
    }
}

/// Checks that [`save`] can write to this path, before the work is done.
///
/// # Errors
///
/// [`Error::File`] if the name does not end in `.png`, `.jpg` or `.jpeg`, is that of a folder, or its folder does not
/// exist; [`Error::Io`] if no file can be created there.
pub fn check_path(path: &Path) -> Result<()> {
    Format::of(path)?;
    check_place(path)
}

/// Writes a sheet to a file, completely or not at all: as JPEG if the name ends in `.jpg` or `.jpeg`, else as PNG.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be written, [`Error::File`] if its name requests another format.
pub fn save(sheet: &RgbImage, path: &Path) -> Result<()> {
    let packed = match Format::of(path)? {
        Format::Png => png(sheet),
        Format::Jpeg => jpeg(sheet),
    };
    let bytes = packed.map_err(Error::io("write", path))?;
    replace_file(path, |file| file.write_all(&bytes))
}

/// Encodes a sheet as JPEG.
fn jpeg(sheet: &RgbImage) -> std::io::Result<Vec<u8>> {
    /// Out of 100: samples keep sharp edges, and pixels are within a few values of what was drawn.
    const QUALITY: u8 = 95;
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(sheet).map_err(std::io::Error::other)?;
    Ok(bytes)
}

/// Encodes a sheet as PNG.
///
/// # Errors
///
/// If encoding fails.
pub fn png(sheet: &RgbImage) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(sheet, sheet.width(), sheet.height(), ExtendedColorType::Rgb8)
        .map_err(std::io::Error::other)?;
    Ok(bytes)
}

fn check(set: &Dataset, indices: &[usize], columns: usize) -> Result<()> {
    let len = set.len();
    let problem = match indices.iter().find(|&&index| index >= len) {
        Some(index) => format!("sample {index} is not in the {} set, which has {len}", set.name()),
        None if indices.is_empty() => "a sheet needs at least one sample".into(),
        None if columns == 0 => "a sheet needs at least one column".into(),
        None if !matches!(set.shape()[2], 1 | 3) => {
            format!("images have {} channels; only grey (1) and RGB (3) can be drawn", set.shape()[2])
        }
        None => return Ok(()),
    };
    Err(Error::Usage(problem))
}

fn draw_sample(sheet: &mut RgbImage, left: usize, top: usize, set: &Dataset, index: usize, scale: usize) {
    let [_, width, channels] = set.shape();
    for (place, pixel) in set.image(index).chunks_exact(channels).enumerate() {
        let colour = if let [red, green, blue] = *pixel { Rgb([red, green, blue]) } else { tone(pixel[0]) };
        fill(sheet, left + place % width * scale, top + place / width * scale, scale, colour);
    }
}

/// The colour of a grey value.
fn tone(value: u8) -> Rgb<u8> {
    let between =
        |from: u8, to: u8| (u32::from(from) * u32::from(255 - value) + u32::from(to) * u32::from(value) + 127) / 255;
    Rgb([0, 1, 2].map(|channel| between(BACKGROUND[channel], INK[channel]) as u8))
}

fn draw_caption(sheet: &mut RgbImage, left: usize, top: usize, caption: &str) {
    for (place, letter) in caption.bytes().enumerate() {
        let left = left + place * (GLYPH_WIDTH + 1) * DOT;
        let glyph = match letter {
            b'0'..=b'9' => DIGITS[usize::from(letter - b'0')],
            b'>' => ARROW,
            _ => [0; GLYPH_HEIGHT],
        };
        for (row, bits) in glyph.iter().enumerate() {
            for column in (0..GLYPH_WIDTH).filter(|column| bits >> (GLYPH_WIDTH - 1 - column) & 1 == 1) {
                fill(sheet, left + column * DOT, top + row * DOT, DOT, PENCIL);
            }
        }
    }
}

/// Width of a caption in pixels, including the gap after it.
fn text_width(caption: &str) -> usize {
    caption.len() * (GLYPH_WIDTH + 1) * DOT
}

fn fill(sheet: &mut RgbImage, left: usize, top: usize, side: usize, colour: Rgb<u8>) {
    for y in top..top + side {
        for x in left..left + side {
            sheet.put_pixel(x as u32, y as u32, colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(shape: [usize; 3], labels: &[u8]) -> Dataset {
        let size: usize = shape.iter().product();
        let images = (0..labels.len() * size).map(|i| (i * 37 % 256) as u8).collect();
        Dataset::new(images, labels.into(), shape, 256).unwrap().named("train")
    }

    /// A number as text, with `#` for each dot.
    fn drawn(number: usize) -> String {
        lettered(&number.to_string())
    }

    fn lettered(caption: &str) -> String {
        let mut sheet = RgbImage::from_pixel(48, 10, PAPER);
        draw_caption(&mut sheet, 0, 0, caption);
        let dot = |row: usize, column: usize| sheet.get_pixel((column * DOT) as u32, (row * DOT) as u32) == &PENCIL;
        let row = |row| (0..12).map(|column| if dot(row, column) { '#' } else { ' ' }).collect::<String>();
        (0..GLYPH_HEIGHT).map(|r| row(r).trim_end().to_string()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn numbers_read_as_numbers() {
        assert_eq!(drawn(7), "###\n  #\n #\n #\n #");
        assert_eq!(drawn(142), " #  # # ###\n##  # #   #\n #  ### ###\n #    # #\n###   # ###");
        let mut shapes: Vec<_> = (0..10).map(drawn).collect();
        shapes.sort();
        shapes.dedup();
        assert_eq!(shapes.len(), 10);
    }

    #[test]
    fn captions_point_from_label_to_prediction() {
        assert_eq!(lettered("1>7"), " #  #   ###\n##   #    #\n #    #  #\n #   #   #\n### #    #");
        let set = set([2, 2, 1], &[4, 9]);
        let sheet = |caption: &str| captioned_sheet(&set, &[0, 1], 2, &|_| caption.to_string()).unwrap();
        assert_ne!(sheet("4>9"), sheet("9>4"));
        assert_eq!(sheet("4>9").dimensions(), sheet("9>4").dimensions());
    }

    #[test]
    fn every_pixel_of_a_sample_becomes_a_block() {
        let set = set([2, 3, 1], &[5, 9]);
        let sheet = contact_sheet(&set, &[1, 0], 2).unwrap();
        let scale = SAMPLE_SIDE / 3;
        let cell = 3 * scale + MARGIN;
        for (place, index) in [1, 0].into_iter().enumerate() {
            for (i, &value) in set.image(index).iter().enumerate() {
                let (x, y) = (MARGIN + place * cell + i % 3 * scale, MARGIN + i / 3 * scale);
                for (dx, dy) in [(0, 0), (scale - 1, scale - 1)] {
                    assert_eq!(*sheet.get_pixel((x + dx) as u32, (y + dy) as u32), tone(value));
                }
            }
        }
    }

    #[test]
    fn colour_is_kept_and_grey_runs_from_background_to_ink() {
        let set = set([1, 1, 3], &[0]);
        let sheet = contact_sheet(&set, &[0], 1).unwrap();
        assert_eq!(sheet.get_pixel(MARGIN as u32, MARGIN as u32).0, set.image(0));
        assert_eq!((tone(0), tone(255)), (BACKGROUND, INK));
    }

    #[test]
    fn rows_fill_up_and_the_last_may_be_short() {
        let set = set([28, 28, 1], &[0; 7]);
        let all: Vec<_> = (0..7).collect();
        let (width, height) = contact_sheet(&set, &all, 3).unwrap().dimensions();
        let (cell_width, cell_height) = (84 + MARGIN, 84 + LABEL_HEIGHT + MARGIN);
        assert_eq!((width as usize, height as usize), (3 * cell_width + MARGIN, 3 * cell_height + MARGIN));
        // No empty columns if there are fewer samples than columns.
        assert_eq!(contact_sheet(&set, &all[..2], 50).unwrap().width() as usize, 2 * cell_width + MARGIN);
    }

    #[test]
    fn tiny_and_large_images_fit_their_cells() {
        for shape in [[1, 1, 1], [1, 100, 1], [300, 2, 3], [85, 85, 1]] {
            contact_sheet(&set(shape, &[255, 0, 17]), &[0, 1, 2], 2).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        let complaint =
            |set: &Dataset, indices: &[usize], columns| contact_sheet(set, indices, columns).unwrap_err().to_string();
        let grey = set([2, 2, 1], &[0, 1]);
        assert_eq!(complaint(&grey, &[0, 2], 2), "sample 2 is not in the train set, which has 2");
        assert_eq!(complaint(&grey, &[], 2), "a sheet needs at least one sample");
        assert_eq!(complaint(&grey, &[0], 0), "a sheet needs at least one column");
        assert!(complaint(&set([2, 2, 2], &[0]), &[0], 1).contains("2 channels"));
        assert!(complaint(&grey, &[0; 100_000], 10).contains("choose fewer samples"));
    }

    #[test]
    fn a_saved_sheet_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sheet.png");
        let sheet = contact_sheet(&set([4, 4, 1], &[1, 2]), &[0, 1], 2).unwrap();
        save(&sheet, &path).unwrap();
        assert_eq!(image::open(&path).unwrap().to_rgb8(), sheet);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let jpeg = dir.path().join("sheet.JPG");
        save(&sheet, &jpeg).unwrap();
        assert!(std::fs::read(&jpeg).unwrap().starts_with(b"\xff\xd8\xff"), "no JPEG");
        let read = image::open(&jpeg).unwrap().to_rgb8();
        assert_eq!(read.dimensions(), sheet.dimensions());
        let off = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b));
        let mean = read.iter().zip(sheet.iter()).map(off).sum::<f64>() / sheet.len() as f64;
        assert!(mean < 4.0, "the mean difference of pixels is {mean}");
        let gif = check_path(&dir.path().join("sheet.gif")).unwrap_err().to_string();
        assert!(gif.ends_with("expected a file name that ends in .png, .jpg or .jpeg"), "{gif}");
        let nowhere = save(&sheet, &dir.path().join("missing/sheet.png")).unwrap_err().to_string();
        assert!(nowhere.starts_with("cannot write "), "{nowhere}");
    }
}
