//! Output files that the user has named.
//!
//! One rule applies to all of them. An existing special file (a device, a FIFO, a terminal) is written to directly, and
//! so are standard output and standard error. A link is followed: its target is replaced, and the link stays. All other
//! files are written completely or not at all, through a temporary file that then takes the final name; an existing
//! file passes its mode on to the new one.

use super::whole::{folder_of, replace, try_place};
use crate::error::{Error, Result};
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

/// Checks that [`replace_file`] can write to this path, before the work is done.
///
/// # Errors
///
/// [`Error::File`] if it is a folder, or its folder does not exist; [`Error::Io`] if no file can be created there.
pub fn check_place(path: &Path) -> Result<()> {
    if path.is_dir() || path.file_name().is_none() {
        return Err(Error::file(path, "expected a file name, got a folder"));
    }
    let Place::File { path: target, .. } = place(path).map_err(Error::io("write", path))? else { return Ok(()) };
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir());
    if let Some(folder) = folder {
        return Err(Error::file(path, format!("there is no folder {}; create it first", folder.display())));
    }
    try_place(&target).map_err(Error::io("write", path))
}

/// Writes an output by the rule of this module. When it returns, a regular file and its name are on disk.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be written; an existing regular file is then unchanged.
pub fn replace_file(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    let written = match place(path) {
        Ok(Place::Stream(file)) => write_through(file, write),
        Ok(Place::Special) => File::options().write(true).open(path).and_then(|file| write_through(file, write)),
        Ok(Place::File { path, former }) => replace(&path, former.as_ref(), write),
        Err(error) => Err(error),
    };
    written.map_err(Error::io("write", path))
}

/// The target of a path.
enum Place {
    /// Standard output or standard error. If it were opened again, a file would be overwritten from its start, and a
    /// socket cannot be opened.
    Stream(File),
    /// A special file, to be opened by its name.
    Special,
    /// An existing or new regular file. Links are resolved.
    File { path: PathBuf, former: Option<Metadata> },
}

fn place(path: &Path) -> io::Result<Place> {
    let former = match fs::metadata(path) {
        Ok(former) => Some(former),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(stream) = former.as_ref().and_then(standard_stream) {
        return Ok(Place::Stream(stream));
    }
    // Opening a folder fails with the system's own message.
    if former.as_ref().is_some_and(|former| !former.is_file()) {
        return Ok(Place::Special);
    }
    let target = target(path)?;
    Ok(target.map_or(Place::Special, |path| Place::File { path, former }))
}

/// Resolves the links of a path; the file at the end need not exist. `None` for a system link to a file that a process
/// has open, such as `/dev/fd/3`: no other file can take its place.
fn target(path: &Path) -> io::Result<Option<PathBuf>> {
    /// The limit of Linux.
    const MOST: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..MOST {
        if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            return Ok(Some(path));
        }
        let folder = folder_of(&path);
        if folder.canonicalize()?.starts_with("/proc") {
            return Ok(None);
        }
        path = folder.join(fs::read_link(&path)?);
    }
    Err(io::Error::other("too many levels of links"))
}

/// Standard output or standard error, if `found` is one of them: `/dev/stdout`, or a file that the shell has redirected
/// it to.
#[cfg(unix)]
fn standard_stream(found: &Metadata) -> Option<File> {
    use std::io::Write;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::fs::MetadataExt;
    let same = |stream: BorrowedFd<'_>| {
        let file = File::from(stream.try_clone_to_owned().ok()?);
        let open = file.metadata().ok()?;
        ((open.dev(), open.ino()) == (found.dev(), found.ino())).then_some(file)
    };
    let (out, error) = (io::stdout(), io::stderr());
    let stream = same(out.as_fd()).or_else(|| same(error.as_fd()))?;
    // Output printed earlier comes first; whoever printed it reports errors.
    let _ = out.lock().flush();
    Some(stream)
}

#[cfg(not(unix))]
fn standard_stream(_: &Metadata) -> Option<File> {
    None
}

fn write_through(file: File, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    write(&mut file)?;
    file.into_inner()?;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    use std::process::Command;

    fn write(path: &Path, content: &'static [u8]) -> Result<()> {
        replace_file(path, |file| file.write_all(content))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_link_is_followed_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("deep")).unwrap();
        fs::write(at("deep/file"), b"old").unwrap();
        symlink("deep/second", at("first")).unwrap();
        symlink("file", at("deep/second")).unwrap();
        symlink(at("deep/new"), at("dangling")).unwrap();
        for (link, file) in [("first", "deep/file"), ("dangling", "deep/new")] {
            check_place(&at(link)).unwrap();
            write(&at(link), b"new").unwrap();
            assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink());
            assert!(fs::symlink_metadata(at(file)).unwrap().is_file());
            assert_eq!(fs::read(at(file)).unwrap(), b"new");
        }
        assert!(fs::symlink_metadata(at("deep/second")).unwrap().is_symlink());
        symlink("loop", at("loop")).unwrap();
        symlink("missing/file", at("nowhere")).unwrap();
        assert!(write(&at("loop"), b"new").unwrap_err().to_string().starts_with("cannot write "));
        assert!(check_place(&at("nowhere")).unwrap_err().to_string().contains("there is no folder"));
        assert_eq!(fs::read_dir(at("deep")).unwrap().count(), 3, "something is left");
    }

    #[test]
    fn a_file_that_was_there_leaves_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, b"first").unwrap();
        let usual = mode(&path);
        fs::write(dir.path().join("like"), b"").unwrap();
        assert_eq!(usual, mode(&dir.path().join("like")));
        for kept in [0o600, 0o640, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(kept)).unwrap();
            write(&path, b"next").unwrap();
            assert_eq!((mode(&path), fs::read(&path).unwrap()), (kept, b"next".to_vec()));
        }
    }

    #[test]
    fn what_is_no_file_is_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        check_place(&fifo).unwrap();
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || fs::read(fifo).unwrap()
        });
        write(&fifo, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
        assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
        // Links, so that a bug could not remove the devices themselves.
        let link = |device: &str| {
            let link = dir.path().join(device.trim_start_matches("/dev/"));
            symlink(device, &link).unwrap();
            link
        };
        let (null, full) = (link("/dev/null"), link("/dev/full"));
        check_place(&null).unwrap();
        write(&null, b"away").unwrap();
        let failed = write(&full, b"no room").unwrap_err().to_string();
        assert!(failed.contains("No space left on device"), "{failed}");
        assert!(null.is_symlink() && full.is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "something is left");
        assert!(write(dir.path(), b"").unwrap_err().to_string().contains("directory"));
    }

    /// The shell opens such a file; a new file with its name would be a different file.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_open_file_is_written_to_by_its_number() {
        use std::os::fd::AsRawFd;
        let mut open = tempfile::tempfile().unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        write(&path, b"here").unwrap();
        let mut content = String::new();
        std::io::Read::read_to_string(&mut open, &mut content).unwrap();
        assert_eq!(content, "here");
    }
}
