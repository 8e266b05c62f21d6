//! Files that are read as a whole, up to a limit, and files that are written whole or not at all.

use crate::error::{Error, Result};
use crate::memory;
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the name of a temporary file ends with.
const TEMPORARY: &str = ".shadegrad-tmp";

/// Bytes of a file that people or this program write as text: far more than any has.
const LARGEST_TEXT: u64 = 64 << 20;

/// A file of at most `most` bytes. Something far larger by mistake, or without an end, is refused before it fills the memory.
///
/// # Errors
///
/// [`Error::Io`] when it cannot be read, [`Error::File`] when it is larger, [`Error::Memory`] when there is no memory for it.
pub fn read_file(path: &Path, most: u64) -> Result<Vec<u8>> {
    match read_up_to(path, most) {
        Ok(Some(bytes)) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::OutOfMemory => {
            let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
            Err(memory::lacking(size, &path.display().to_string()))
        }
        Err(error) => Err(Error::io("read", path)(error)),
        Ok(None) => Err(Error::file(path, format!("expected at most {most} bytes, got more"))),
    }
}

/// Nothing, if there are more than `most` bytes.
fn read_up_to(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > most {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size as usize)?;
    // What is no file has no size, and a file may grow meanwhile.
    file.take(most + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= most))
}

/// A text of at most 64 MiB.
///
/// # Errors
///
/// Those of [`read_file`], and [`Error::File`] when it is not in UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = read_file(path, LARGEST_TEXT)?;
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Error::file(path, format!("expected text in UTF-8, got something else from byte {place} on"))
    })
}

/// The same; nothing, where there is no such file.
///
/// # Errors
///
/// Those of [`read_text`].
pub fn read_text_if_there(path: &Path) -> Result<Option<String>> {
    match read_text(path) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Refuses what [`replace_file`] could not write, before long work is done for it.
///
/// # Errors
///
/// [`Error::File`] when it is a folder, or would lie in none; [`Error::Io`] when no file can be made there.
pub fn check_place(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir());
    if let Some(folder) = folder {
        return Err(Error::file(path, format!("there is no folder {}; make it first", folder.display())));
    }
    if path.is_dir() || path.file_name().is_none() {
        return Err(Error::file(path, "expected the name of a file, got a folder"));
    }
    let tried = create_temporary(path).and_then(|(_, temporary)| fs::remove_file(temporary));
    tried.map_err(Error::io("write", path))
}

/// Writes a file whole or not at all: into a temporary file beside it, which then takes its place. When this returns, both
/// the file and its name are on the disk.
pub fn replace_file(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    let (file, temporary) = create_temporary(path).map_err(Error::io("write", path))?;
    remove_leftovers(path);
    // The lock of the temporary file is held until it has its name.
    let _held = file.try_clone();
    let written = write_synced(file, write).and_then(|()| put_in_place(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(Error::io("write", path))
}

fn write_synced(file: File, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    write(&mut file)?;
    file.into_inner()?.sync_all()
}

/// Gives a synced file its name, which is safe from a loss of power only when the folder is on the disk too. Windows opens
/// no folders, and some file systems have nothing to sync.
pub(crate) fn put_in_place(temporary: &Path, path: &Path) -> io::Result<()> {
    fs::rename(temporary, path)?;
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(folder)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Makes the file that is written before it takes the place of `path`, beside it: `.<name>.<pid>-<counter>.shadegrad-tmp`.
/// One of that name that is there already, left by a process that had the same number, is passed over. It is locked, which
/// says that somebody is writing it, as far as the file system has locks.
fn create_temporary(path: &Path) -> io::Result<(File, PathBuf)> {
    static COUNTER: AtomicUsize = AtomicUsize::new(0);
    loop {
        let temporary = temporary(path, COUNTER.fetch_add(1, Ordering::Relaxed));
        match File::options().write(true).create_new(true).open(&temporary) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            opened => {
                let file = opened?;
                // Between the two, another process may take it for a leftover.
                let is_taken = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
                if !is_taken && fs::exists(&temporary)? {
                    return Ok((file, temporary));
                }
            }
        }
    }
}

/// Removes temporary files of `path` that nobody is writing any more: the program was killed over them. What cannot be
/// removed stays, for that is no reason not to write.
fn remove_leftovers(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut start = OsString::from(".");
    start.push(short(path.file_name().unwrap_or_default()));
    start.push(".");
    let of_path = |other: &Path| {
        let name = other.file_name().unwrap_or_default().as_encoded_bytes();
        let numbers =
            name.strip_prefix(start.as_encoded_bytes()).and_then(|rest| rest.strip_suffix(TEMPORARY.as_bytes()));
        // Those of `a.gz` begin like those of `a`.
        is_own_temporary(other) && numbers.is_some_and(|numbers| !numbers.contains(&b'.'))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for leftover in entries.map(|entry| entry.path()).filter(|other| of_path(other)) {
        let is_file = fs::symlink_metadata(&leftover).is_ok_and(|metadata| metadata.is_file());
        let Some(Ok(file)) = is_file.then(|| File::options().write(true).open(&leftover)) else { continue };
        // The lock is held while the file is removed, so that whoever has just made it notices.
        if file.try_lock().is_ok() {
            let _ = fs::remove_file(&leftover);
        }
    }
}

fn temporary(path: &Path, counter: usize) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(short(path.file_name().unwrap_or_default()));
    name.push(format!(".{}-{counter}{TEMPORARY}", std::process::id()));
    path.with_file_name(name)
}

/// File systems allow names of 255 bytes, of which a temporary file needs some for what it adds.
fn short(name: &OsStr) -> Cow<'_, OsStr> {
    const MOST: usize = 190;
    if name.len() <= MOST {
        return name.into();
    }
    let text = name.to_string_lossy();
    OsString::from(&text[..text.floor_char_boundary(MOST)]).into()
}

/// Whether a path has a name that this program gives to files while it writes them. Such a file is left behind when the
/// program is killed, and may be removed where nobody else is writing.
pub fn is_own_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let Some(name) = name.strip_prefix(b".").and_then(|name| name.strip_suffix(TEMPORARY.as_bytes())) else {
        return false;
    };
    let mut parts = name.rsplitn(2, |byte| *byte == b'.');
    let (numbers, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let mut numbers = numbers.splitn(2, |byte| *byte == b'-');
    !rest.is_empty() && numbers.next().is_some_and(is_number) && numbers.next().is_some_and(is_number)
}

/// The path with something added to its file name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let said = format!("{}: expected text in UTF-8, got something else from byte 2 on", path.display());
        assert_eq!(message(read_text(&path).unwrap_err()), said);
    }

    #[test]
    fn places_are_refused_before_work_is_done_for_them() {
        let dir = tempfile::tempdir().unwrap();
        check_place(&dir.path().join("new")).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let missing = dir.path().join("missing");
        let message = |path: &Path| check_place(path).unwrap_err().to_string();
        let said = format!("there is no folder {}; make it first", missing.display());
        assert!(message(&missing.join("file")).ends_with(&said));
        assert!(message(dir.path()).ends_with("expected the name of a file, got a folder"));
        assert!(message(Path::new("..")).ends_with("expected the name of a file, got a folder"));
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
    fn temporary_files_are_known_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let long = "\u{e9}".repeat(120);
        for name in ["file", ".lock", "a.b-c.1-2", long.as_str()] {
            let path = dir.path().join(name);
            let (_, first) = create_temporary(&path).unwrap();
            let (_, second) = create_temporary(&path).unwrap();
            assert_ne!(first, second);
            assert!(is_own_temporary(&first) && is_own_temporary(&second), "{}", first.display());
            assert_eq!(first.parent(), path.parent());
        }
        let shown = temporary(Path::new("runs/run.toml"), 7);
        assert_eq!(shown, Path::new(&format!("runs/.run.toml.{}-7.shadegrad-tmp", std::process::id())));
        for other in [
            "notes.tmp",
            "model.safetensors.7.tmp",
            "model.safetensors.7-1.shadegrad-tmp",
            ".7-1.shadegrad-tmp",
            "..7-1.shadegrad-tmp",
            ".file.7.shadegrad-tmp",
            ".file.7-.shadegrad-tmp",
            ".file.-1.shadegrad-tmp",
            ".file.7-1-2.shadegrad-tmp",
            ".file.a-1.shadegrad-tmp",
            ".file.7-1.shadegrad-tmp.bak",
            "",
        ] {
            assert!(!is_own_temporary(&dir.path().join(other)), "{other}");
        }
    }

    #[test]
    fn what_a_killed_write_has_left_is_removed_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("set");
        let write = || replace_file(&path, |file| file.write_all(b"new")).unwrap();
        let names = || {
            let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        for name in [".set.1-0.shadegrad-tmp", ".set.gz.1-0.shadegrad-tmp", "set.1.tmp"] {
            fs::write(dir.path().join(name), b"half").unwrap();
        }
        write();
        assert_eq!(names(), [".set.gz.1-0.shadegrad-tmp", "set", "set.1.tmp"]);
        // What somebody is still writing stays.
        let (under_way, temporary) = create_temporary(&path).unwrap();
        write();
        assert!(temporary.exists());
        drop(under_way);
        write();
        assert_eq!(names(), [".set.gz.1-0.shadegrad-tmp", "set", "set.1.tmp"]);
    }

    #[test]
    fn many_may_write_one_file_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::thread::scope(|scope| {
            for writer in 0..8_u8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..10 {
                        replace_file(path, |file| file.write_all(&[writer; 1000])).unwrap();
                    }
                });
            }
        });
        let written = fs::read(&path).unwrap();
        assert!(written.len() == 1000 && written.iter().all(|byte| *byte == written[0]));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
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
