//! What the segments of a JPEG file tell without decoding it: whether its end is there, and how much of the picture.

use std::io::{self, BufRead, ErrorKind, Read, Seek, SeekFrom};

/// The first bytes of every JPEG file: the start mark.
const START: [u8; 2] = [0xff, 0xd8];
const END: [u8; 2] = [0xff, 0xd9];

/// What [`survey`] finds.
#[derive(Debug, Default, PartialEq)]
pub struct Survey {
    /// The end mark is there.
    pub ended: bool,
    /// Rows of pixels that are coded together, at most 32. Where a scan ends early, the last of these bands is in part
    /// missing.
    pub band: u32,
    /// Bytes of profiles, texts and small copies of the picture.
    pub beside: u64,
    /// Progressive files hold the whole picture coarsely, then finer and finer.
    progressive: bool,
    /// The component that says how bright the pixels are.
    brightness: u8,
    /// A bit for each of the 64 frequencies of that component which a complete scan holds, at least coarsely.
    held: u64,
    /// The same for the scan that has begun.
    begun: u64,
}

impl Survey {
    /// Whether all that is missing from a file that ends early is precision, not a part of the picture.
    pub fn is_whole_picture(&self) -> bool {
        self.progressive && self.held == u64::MAX
    }

    /// Whether scans are missing without which no row of the picture can be seen sharply.
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

/// Whether the source is a JPEG file, from its first bytes. It is left at its start.
pub fn is_jpeg(source: &mut (impl Read + Seek)) -> io::Result<bool> {
    source.rewind()?;
    let mut start = Vec::new();
    source.by_ref().take(2).read_to_end(&mut start)?;
    source.rewind()?;
    Ok(start == START)
}

/// Whether the last bytes of the source are the end mark, as they are in most files. Others have something behind it.
pub fn ends_with_mark(source: &mut (impl Read + Seek)) -> io::Result<bool> {
    let length = source.seek(SeekFrom::End(0))?;
    source.seek(SeekFrom::Start(length.saturating_sub(2)))?;
    let mut end = Vec::new();
    source.by_ref().take(2).read_to_end(&mut end)?;
    Ok(end == END)
}

/// Goes from segment to segment of a JPEG file until its end mark or its last byte.
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
        // A byte of 255 in the data of a scan, and marks that stand alone within one.
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
