//! The program's own files: in run folders, in the cache, and of downloads. Anything in their place that is not a
//! regular file is neither waited for nor written to.

use super::read_up_to;
use super::whole::replace;
use crate::error::{Error, Result};
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, BufWriter, ErrorKind};
use std::path::Path;

/// Whether a link in place of one of the program's own files is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// For the user's own folders: a link there is deliberate.
    Follow,
    /// For folders that may come from somebody else, such as a downloaded run: a link there could point to any of the
    /// user's files.
    Refuse,
}

/// Fails unless a path is a regular file or does not exist.
///
/// # Errors
///
/// [`Error::File`] if it is something else, [`Error::Io`] if that cannot be determined.
pub fn check_own_file(path: &Path, links: Links) -> Result<()> {
    let found = match links {
        Links::Follow => fs::metadata(path),
        Links::Refuse => fs::symlink_metadata(path),
    };
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("read", path)(error)),
        Ok(found) if found.is_file() => Ok(()),
        Ok(found) => Err(not_regular(path, found.file_type())),
    }
}

/// The same for one of the program's own folders: it must be a folder, not a link to one, or not exist.
///
/// # Errors
///
/// As for [`check_own_file`].
pub fn check_own_folder(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("read", path)(error)),
        Ok(found) if found.is_dir() => Ok(()),
        Ok(found) => Err(Error::file(path, format!("expected a folder, got {}; {REMEDY}", kind(found.file_type())))),
    }
}

/// Opens one of the program's own files. Special files are rejected at once: opening a FIFO would block, and a device,
/// or somebody's file behind a link, would be written to.
///
/// The type is checked first, for a clear error message, and again on the open file. Replacing the file in between
/// gains an attacker nothing, because the system is told not to block and, with [`Links::Refuse`], not to follow links.
///
/// # Errors
///
/// Those of [`check_own_file`]; [`Error::Io`] if it cannot be opened.
pub fn open_own_file(path: &Path, options: &OpenOptions, links: Links) -> Result<File> {
    check_own_file(path, links)?;
    let file = without_waiting(options, links).open(path).map_err(Error::io("open", path))?;
    let kind = file.metadata().map_err(Error::io("read", path))?.file_type();
    if kind.is_file() { Ok(file) } else { Err(not_regular(path, kind)) }
}

#[cfg(unix)]
fn without_waiting(options: &OpenOptions, links: Links) -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = options.clone();
    // The flag does not affect regular files.
    let mut flags = libc::O_NONBLOCK;
    if links == Links::Refuse {
        flags |= libc::O_NOFOLLOW;
    }
    options.custom_flags(flags);
    options
}

/// On other systems folders contain no FIFOs or devices, and only administrators create links.
#[cfg(not(unix))]
fn without_waiting(options: &OpenOptions, _: Links) -> OpenOptions {
    options.clone()
}

/// Reads one of the program's own files, of at most `most` bytes.
///
/// # Errors
///
/// Those of [`open_own_file`] and of [`super::read_file`].
pub fn read_own_file(path: &Path, most: u64, links: Links) -> Result<Vec<u8>> {
    let file = open_own_file(path, File::options().read(true), links)?;
    super::bytes_of(path, read_up_to(file, most), most)
}

/// Reads one of the program's own text files.
///
/// # Errors
///
/// Those of [`open_own_file`] and of [`super::read_text`].
pub fn read_own_text(path: &Path, links: Links) -> Result<String> {
    super::text_of(path, read_own_file(path, super::LARGEST_TEXT, links)?)
}

/// Like [`read_own_text`], but `None` if there is no such file.
///
/// # Errors
///
/// Those of [`read_own_text`].
pub fn read_own_text_if_there(path: &Path, links: Links) -> Result<Option<String>> {
    super::if_there(read_own_text(path, links))
}

/// Writes one of the program's own files completely or not at all, in a folder that may come from somebody else: a link
/// in its place is rejected. If one is put there meanwhile, the link itself is replaced, and its target is not touched.
///
/// # Errors
///
/// Those of [`check_own_file`], and [`Error::Io`] if it cannot be written.
pub fn replace_own_file(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    check_own_file(path, Links::Refuse)?;
    let former = fs::symlink_metadata(path).ok();
    replace(path, former.as_ref(), write).map_err(Error::io("write", path))
}

const REMEDY: &str = "it is not used; move it away";

fn not_regular(path: &Path, found: FileType) -> Error {
    Error::file(path, format!("expected a regular file, got {}; {REMEDY}", kind(found)))
}

/// The type of something that is not a regular file, for messages.
fn kind(found: FileType) -> &'static str {
    if found.is_dir() {
        return "a folder";
    }
    if found.is_symlink() {
        return "a link, which could lead to any file";
    }
    special(found)
}

#[cfg(unix)]
fn special(found: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match found {
        _ if found.is_fifo() => "a FIFO",
        _ if found.is_socket() => "a socket",
        _ if found.is_char_device() || found.is_block_device() => "a device",
        _ if found.is_file() => "a regular file",
        _ => "something else",
    }
}

#[cfg(not(unix))]
fn special(found: FileType) -> &'static str {
    if found.is_file() { "a regular file" } else { "something else" }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::fs::symlink;
    use std::process::Command;

    /// If one of these blocked, so would the test.
    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        symlink("fifo", at("to-fifo")).unwrap();
        symlink("/dev/null", at("to-device")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for (name, links, is) in [
            ("fifo", Links::Refuse, "a FIFO"),
            ("fifo", Links::Follow, "a FIFO"),
            ("to-fifo", Links::Follow, "a FIFO"),
            ("to-device", Links::Follow, "a device"),
            ("to-device", Links::Refuse, "a link"),
            ("folder", Links::Follow, "a folder"),
        ] {
            let says = format!("{}: expected a regular file, got {is}", at(name).display());
            let append = File::options().create(true).append(true).clone();
            let tried = [
                check_own_file(&at(name), links).err(),
                open_own_file(&at(name), &append, links).err(),
                open_own_file(&at(name), File::options().read(true), links).err(),
                read_own_text_if_there(&at(name), links).err(),
            ];
            for error in tried {
                let error = error.map(|error| error.to_string()).unwrap_or_default();
                assert!(error.starts_with(&says), "{name}: {error}");
            }
        }
        // The file is replaced after the first check.
        for options in [File::options().read(true), File::options().append(true)] {
            let opened = without_waiting(options, Links::Refuse).open(at("fifo"));
            assert!(opened.is_err() || !opened.unwrap().metadata().unwrap().is_file());
            assert!(without_waiting(options, Links::Refuse).open(at("to-device")).is_err());
        }
    }

    #[test]
    fn links_lead_out_of_no_folder_of_somebody_else() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("mine"), dir.path().join("link"));
        fs::write(&file, b"mine").unwrap();
        symlink(&file, &link).unwrap();
        let append = File::options().create(true).append(true).clone();
        let said = open_own_file(&link, &append, Links::Refuse).unwrap_err().to_string();
        assert!(said.contains("expected a regular file, got a link"), "{said}");
        replace_own_file(&link, |file| file.write_all(b"theirs")).unwrap_err();
        assert_eq!(fs::read(&file).unwrap(), b"mine");
        assert_eq!(read_own_text(&link, Links::Follow).unwrap(), "mine");
        // A link without a target is still a link.
        let dangling = dir.path().join("dangling");
        symlink(dir.path().join("new"), &dangling).unwrap();
        replace_own_file(&dangling, |file| file.write_all(b"theirs")).unwrap_err();
        assert!(!dir.path().join("new").exists());
        symlink(dir.path(), dir.path().join("folder")).unwrap();
        let said = check_own_folder(&dir.path().join("folder")).unwrap_err().to_string();
        assert!(said.contains("expected a folder, got a link"), "{said}");
        check_own_folder(dir.path()).unwrap();
        check_own_folder(&dir.path().join("missing")).unwrap();
    }

    #[test]
    fn regular_files_are_opened_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert_eq!(read_own_text_if_there(&path, Links::Refuse).unwrap(), None);
        replace_own_file(&path, |file| file.write_all(b"one")).unwrap();
        let mut open = open_own_file(&path, File::options().append(true), Links::Refuse).unwrap();
        open.write_all(b" two").unwrap();
        let mut text = String::new();
        let mut open = open_own_file(&path, File::options().read(true), Links::Refuse).unwrap();
        open.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
        assert!(read_own_file(&path, 3, Links::Refuse).unwrap_err().to_string().ends_with("at most 3 bytes, got more"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
