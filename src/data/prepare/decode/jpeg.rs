//! Reads the segments of a JPEG file without decoding it, to see whether its end is present and how much of the
//! picture.

use std::io::{self, BufRead, ErrorKind, Read, Seek, SeekFrom};

/// The start marker, the first bytes of every JPEG file.
const START: [u8; 2] = [0xff, 0xd8];
const END: [u8; 2] = [0xff, 0xd9];

/// The result of [`survey`].
#[derive(Debug, Default, PartialEq)]
pub struct Survey {
    /// Whether the end marker is present.
    pub ended: bool,
    /// Rows of pixels that are coded together, at most 32. If a scan is truncated, its last band is incomplete.
    pub band: u32,
    /// Bytes of profiles, texts and thumbnails.
    pub beside: u64,
    /// Progressive files hold the whole picture coarsely, then in increasing detail.
    progressive: bool,
    /// Identifier of the component for brightness.
    brightness: u8,
    /// One bit for each of the 64 frequencies of that component that a complete scan holds, at least coarsely.
    held: u64,
    /// The same for the scan that has started.
    begun: u64,
}

impl Survey {
    /// Whether a truncated file lacks only precision and no part of the picture.
    pub fn is_whole_picture(&self) -> bool {
        self.progressive && self.held == u64::MAX
    }

    /// Whether scans are missing that are needed to see any row sharply.
    pub fn is_blurred(&self) -> bool {
        self.progressive && self.held != u64::MAX
    }

    fn frame(&mut self, mark: u8, segment: &[u8]) {
        let components = segment.get(6..).unwrap_or_default().chunks_exact(3);
        self.progressive = mark == 0xc2;
        self.brightness = components.clone().next().map_or(0, |component| component[0]);
        self.band = components.map(|component| u32::from(component[1] & 15).clamp(1, 4) * 8).max().unwrap_or(8);
    }

    fn scan(&mut self, segment: &[u8]) {
        let count = segment.first().map_or(0, |count| usize::from(*count));
        let components = segment.iter().skip(1).step_by(2).take(count);
        if let Some([first, last, _]) = segment.get(1 + 2 * count..)
            && components.copied().any(|component| component == self.brightness)
        {
            self.begun = (*first..=(*last).min(63)).fold(0, |bits, frequency| bits | 1 << frequency);
        }
    }
}

/// Whether the source is a JPEG file, judged by its first bytes. Leaves the source at its start.
pub fn is_jpeg(source: &mut (impl Read + Seek)) -> io::Result<bool> {
    source.rewind()?;
    let mut start = Vec::new();
    source.by_ref().take(2).read_to_end(&mut start)?;
    source.rewind()?;
    Ok(start == START)
}

/// Whether the last bytes of the source are the end marker, as in most files. Others have data after it.
pub fn ends_with_mark(source: &mut (impl Read + Seek)) -> io::Result<bool> {
    let length = source.seek(SeekFrom::End(0))?;
    source.seek(SeekFrom::Start(length.saturating_sub(2)))?;
    let mut end = Vec::new();
    source.by_ref().take(2).read_to_end(&mut end)?;
    Ok(end == END)
}

/// Goes through the segments of a JPEG file up to its end marker or its last byte.
pub fn survey(source: &mut (impl BufRead + Seek)) -> io::Result<Survey> {
    let mut survey = Survey { band: 8, ..Survey::default() };
    source.rewind()?;
    match walk(source, &mut survey) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(survey),
        ended => ended.map(|()| survey),
    }
}

fn walk(source: &mut (impl BufRead + Seek), survey: &mut Survey) -> io::Result<()> {
    loop {
        source.skip_until(0xff)?;
        let mut mark = byte(source)?;
        while mark == 0xff {
            mark = byte(source)?;
        }
        // An escaped byte of 255 in the data of a scan, or a marker without a segment.
        if matches!(mark, 0x00 | 0x01 | 0xd0..=0xd8) {
            continue;
        }
        survey.held |= std::mem::take(&mut survey.begun);
        if mark == END[1] {
            survey.ended = true;
            return Ok(());
        }
        let length = u64::from(u16::from_be_bytes([byte(source)?, byte(source)?]).saturating_sub(2));
        match mark {
            0xc0..=0xcf | 0xda if ![0xc4, 0xc8, 0xcc].contains(&mark) => {
                let mut segment = Vec::new();
                source.by_ref().take(length).read_to_end(&mut segment)?;
                if mark == 0xda { survey.scan(&segment) } else { survey.frame(mark, &segment) }
            }
            _ => {
                survey.beside += if matches!(mark, 0xe0..=0xef | 0xfe) { length } else { 0 };
                source.seek_relative(length as i64)?;
            }
        }
    }
}

fn byte(source: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    source.read_exact(&mut byte)?;
    Ok(byte[0])
}
