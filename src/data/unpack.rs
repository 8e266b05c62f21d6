//! Files that may be compressed with gzip, read as gzip(1) reads them: several members one after the other, then
//! optional zero bytes, with which tapes and block devices pad their last block.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::GzDecoder;

/// The first bytes of a compressed file.
pub(super) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Unpacks data that starts like gzip, whatever its name, and passes on all other data.
pub(super) fn unpacked<'a>(mut source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    source.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    let packed = start == GZIP_MAGIC;
    let whole = BufReader::new(Cursor::new(start).chain(source));
    Ok(if packed { Box::new(Members { member: Some(GzDecoder::new(whole)) }) } else { Box::new(whole) })
}

/// Whether an error came from unpacking: reading a file does not fail in these ways.
pub(super) fn is_broken_gzip(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

/// Reads the content of all members.
struct Members<R> {
    /// The member being read; `None` at the end.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.member = self.member.take().map(|ended| next(ended.into_inner())).transpose()?.flatten();
        }
        Ok(0)
    }
}

/// The member after one that has ended; `None` if the source ends, or only zero bytes follow.
fn next<R: BufRead>(mut source: R) -> io::Result<Option<GzDecoder<R>>> {
    if source.fill_buf()?.first() != Some(&0) {
        return Ok(if source.fill_buf()?.is_empty() { None } else { Some(GzDecoder::new(source)) });
    }
    loop {
        let bytes = source.fill_buf()?;
        if bytes.iter().any(|byte| *byte != 0) {
            let problem = "something other than zero bytes follows the zero bytes after its end";
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        match bytes.len() {
            0 => return Ok(None),
            zeros => source.consume(zeros),
        }
    }
}
