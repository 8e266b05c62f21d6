//! Files that are written completely or not at all: first under the name `.<name>.<pid>-<counter>.shadegrad-tmp`, in
//! the same folder as the file that they replace.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Suffix of temporary files.
const ENDING: &str = ".shadegrad-tmp";

/// Writes a temporary file and renames it to `path`, or leaves nothing behind. `former` is an existing file, whose mode
/// is given to the new one.
pub(super) fn replace(
    path: &Path,
    former: Option<&Metadata>,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let (file, temporary) = create(path)?;
    remove_leftovers(path);
    // The lock of the temporary file is held until it has its final name.
    let _held = file.try_clone();
    // Set before the file has any content, so that nobody can read what the former file kept from them.
    let kept = former.map_or(Ok(()), |former| keep_access(&file, former));
    let written = kept.and_then(|()| write_synced(file, write)).and_then(|()| put_in_place(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_synced(file: File, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    write(&mut file)?;
    file.into_inner()?.sync_all()
}

/// Gives a synced file its final name, which survives a loss of power only if the folder is synced as well. Windows
/// does not open folders, and some file systems do not support sync.
pub(crate) fn put_in_place(temporary: &Path, path: &Path) -> io::Result<()> {
    fs::rename(temporary, path)?;
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder_of(path))?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Gives a file the mode of another and, as far as this process may, its owner.
#[cfg(unix)]
fn keep_access(file: &File, former: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (former.uid(), former.gid())
        && fchown(file, Some(former.uid()), Some(former.gid())).is_err()
    {
        // Without permission, only the group, of which the user may be a member.
        let _ = fchown(file, None, Some(former.gid()));
    }
    let mode = |of: &Metadata| of.permissions().mode() & 0o777;
    // Some file systems do not support modes and refuse to set one.
    match mode(&own) == mode(former) {
        true => Ok(()),
        false => file.set_permissions(fs::Permissions::from_mode(mode(former))),
    }
}

#[cfg(not(unix))]
fn keep_access(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// The folder of a path.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Fails if no file can be created in the folder of `path`.
pub(super) fn try_place(path: &Path) -> io::Result<()> {
    create(path).and_then(|(_, temporary)| fs::remove_file(temporary))
}

/// Creates the temporary file for `path` in its folder: `.<name>.<pid>-<counter>.shadegrad-tmp`. Names left by an
/// earlier process with the same id are skipped. The file is locked as a sign that it is being written, if the file
/// system supports locks.
fn create(path: &Path) -> io::Result<(File, PathBuf)> {
    static COUNTER: AtomicUsize = AtomicUsize::new(0);
    loop {
        let temporary = temporary(path, COUNTER.fetch_add(1, Ordering::Relaxed));
        match File::options().write(true).create_new(true).open(&temporary) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            opened => {
                let file = opened?;
                // Between the two calls, another process may take it for a leftover.
                let is_taken = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
                if !is_taken && fs::exists(&temporary)? {
                    return Ok((file, temporary));
                }
            }
        }
    }
}

/// Removes temporary files of `path` that are no longer being written, because the program was killed. Files that
/// cannot be removed stay, since that is no reason not to write.
fn remove_leftovers(path: &Path) {
    let mut start = OsString::from(".");
    start.push(short(path.file_name().unwrap_or_default()));
    start.push(".");
    let of_path = |other: &Path| {
        let name = other.file_name().unwrap_or_default().as_encoded_bytes();
        let numbers = name.strip_prefix(start.as_encoded_bytes()).and_then(|rest| rest.strip_suffix(ENDING.as_bytes()));
        // The temporary files of `a.gz` also start like those of `a`.
        is_own_temporary(other) && numbers.is_some_and(|numbers| !numbers.contains(&b'.'))
    };
    let entries = fs::read_dir(folder_of(path)).into_iter().flatten().flatten();
    for leftover in entries.map(|entry| entry.path()).filter(|other| of_path(other)) {
        let is_file = fs::symlink_metadata(&leftover).is_ok_and(|metadata| metadata.is_file());
        let Some(Ok(file)) = is_file.then(|| File::options().write(true).open(&leftover)) else { continue };
        // The lock is held during the removal, so that a process that has just created the file notices.
        if file.try_lock().is_ok() {
            let _ = fs::remove_file(&leftover);
        }
    }
}

fn temporary(path: &Path, counter: usize) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(short(path.file_name().unwrap_or_default()));
    name.push(format!(".{}-{counter}{ENDING}", std::process::id()));
    path.with_file_name(name)
}

/// File systems allow names of 255 bytes, of which a temporary file needs some for its suffix.
fn short(name: &OsStr) -> Cow<'_, OsStr> {
    const MOST: usize = 190;
    if name.len() <= MOST {
        return name.into();
    }
    let text = name.to_string_lossy();
    OsString::from(&text[..text.floor_char_boundary(MOST)]).into()
}

/// Whether a path has the name of a temporary file of this program. Such files are left behind if the program is
/// killed, and may be removed if nobody else is writing.
pub fn is_own_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let Some(name) = name.strip_prefix(b".").and_then(|name| name.strip_suffix(ENDING.as_bytes())) else {
        return false;
    };
    let mut parts = name.rsplitn(2, |byte| *byte == b'.');
    let (numbers, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let mut numbers = numbers.splitn(2, |byte| *byte == b'-');
    !rest.is_empty() && numbers.next().is_some_and(is_number) && numbers.next().is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn temporary_files_are_known_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let long = "\u{e9}".repeat(120);
        for name in ["file", ".lock", "a.b-c.1-2", long.as_str()] {
            let path = dir.path().join(name);
            let (_, first) = create(&path).unwrap();
            let (_, second) = create(&path).unwrap();
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
        let write = || replace(&path, None, |file| file.write_all(b"new")).unwrap();
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
        // A file that is still being written stays.
        let (under_way, temporary) = create(&path).unwrap();
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
                        replace(path, None, |file| file.write_all(&[writer; 1000])).unwrap();
                    }
                });
            }
        });
        let written = fs::read(&path).unwrap();
        assert!(written.len() == 1000 && written.iter().all(|byte| *byte == written[0]));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
