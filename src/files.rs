//! Reading whole files up to a size limit, and writing files completely or not at all.
//!
//! [`replace_file`] writes files that the user has named. [`replace_own_file`], [`open_own_file`] and [`read_own_file`]
//! are for files that the program itself has put into a folder and expects there.

mod output;
mod own;
mod whole;

pub use output::{check_place, replace_file};
pub use own::{
    Links, check_own_file, check_own_folder, open_own_file, read_own_file, read_own_text, read_own_text_if_there,
    replace_own_file,
};
pub use whole::is_own_temporary;
#[cfg(feature = "fetch")]
pub(crate) use whole::put_in_place;

use crate::error::{Error, Result};
use crate::memory;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Limit in bytes for text files: far more than any real file has.
const LARGEST_TEXT: u64 = 64 << 20;

/// Reads a file of at most `most` bytes. A larger or endless file is rejected before it fills the memory.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be read, [`Error::File`] if it is larger, [`Error::Memory`] if there is not enough
/// memory.
pub fn read_file(path: &Path, most: u64) -> Result<Vec<u8>> {
    bytes_of(path, File::open(path).and_then(|file| read_up_to(file, most)), most)
}

/// Converts the result of reading a file of at most `most` bytes.
fn bytes_of(path: &Path, read: io::Result<Option<Vec<u8>>>, most: u64) -> Result<Vec<u8>> {
    match read {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(too_large(path, most)),
        Err(error) if error.kind() == ErrorKind::OutOfMemory => {
            let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
            Err(memory::lacking(size, &path.display().to_string()))
        }
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

fn too_large(path: &Path, most: u64) -> Error {
    Error::file(path, format!("expected at most {most} bytes, got more"))
}

/// The content of a file; `None` if it has more than `most` bytes.
fn read_up_to(file: File, most: u64) -> io::Result<Option<Vec<u8>>> {
    let size = file.metadata()?.len();
    if size > most {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size as usize)?;
    // Special files have no size, and a file may grow meanwhile.
    file.take(most + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= most))
}

/// Reads a text file of at most 64 MiB.
///
/// # Errors
///
/// Those of [`read_file`], and [`Error::File`] if it is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    text_of(path, read_file(path, LARGEST_TEXT)?)
}

/// The bytes of a file as text.
fn text_of(path: &Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Error::file(path, format!("expected UTF-8 text, got an invalid byte at offset {place}"))
    })
}

/// Like [`read_text`], but `None` if there is no such file.
///
/// # Errors
///
/// Those of [`read_text`].
pub fn read_text_if_there(path: &Path) -> Result<Option<String>> {
    if_there(read_text(path))
}

/// Converts the error that there is no such file to `None`.
fn if_there<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// The path with a suffix added to its file name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    #[test]
    fn what_is_too_large_or_no_text_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert_eq!(read_text_if_there(&path).unwrap(), None);
        fs::write(&path, b"four").unwrap();
        assert_eq!(read_file(&path, 4).unwrap(), b"four");
        assert_eq!(read_text_if_there(&path).unwrap().unwrap(), "four");
        let message = |error: Error| error.to_string();
        let large = format!("{}: expected at most 3 bytes, got more", path.display());
        assert_eq!(message(read_file(&path, 3).unwrap_err()), large);
        fs::write(&path, b"ab\xff").unwrap();
        let said = format!("{}: expected UTF-8 text, got an invalid byte at offset 2", path.display());
        assert_eq!(message(read_text(&path).unwrap_err()), said);
    }

    #[test]
    fn places_are_refused_before_work_is_done_for_them() {
        let dir = tempfile::tempdir().unwrap();
        check_place(&dir.path().join("new")).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let missing = dir.path().join("missing");
        let message = |path: &Path| check_place(path).unwrap_err().to_string();
        let said = format!("there is no folder {}; create it first", missing.display());
        assert!(message(&missing.join("file")).ends_with(&said));
        assert!(message(dir.path()).ends_with("expected a file name, got a folder"));
        assert!(message(Path::new("..")).ends_with("expected a file name, got a folder"));
        let file = dir.path().join("file");
        fs::write(&file, b"old").unwrap();
        check_place(&file).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"old");
    }

    #[cfg(unix)]
    #[test]
    fn what_has_no_end_is_refused() {
        let path = Path::new("/dev/zero");
        for error in [read_file(path, 1 << 20).unwrap_err(), read_text_if_there(path).unwrap_err()] {
            assert!(error.to_string().ends_with("bytes, got more"), "{error}");
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_litter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace_file(&path, |file| file.write_all(b"old")).unwrap();
        let failed = replace_file(&path, |file| {
            file.write_all(b"new")?;
            Err(io::Error::other("disk on fire"))
        });
        assert_eq!(failed.unwrap_err().to_string(), format!("cannot write {}: disk on fire", path.display()));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
