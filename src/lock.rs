//! Locks between processes: a file that one process holds while others wait or are turned away.

use crate::error::{Error, Result};
use crate::files::{Links, open_own_file};
use same_file::Handle;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Pause between two attempts to get a lock.
const PAUSE: Duration = Duration::from_millis(20);

/// A lock that is held until this is dropped or the program ends in any way.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
    missing: Option<io::Error>,
    is_removed: bool,
}

impl Lock {
    /// Takes the lock of a file, which is created if necessary; `None` if another process holds it.
    ///
    /// On a file system without locks, this returns a lock that keeps nobody away: see [`Lock::missing`].
    ///
    /// # Errors
    ///
    /// Those of [`open_own_file`], and [`Error::Io`] if the system fails to lock it.
    pub fn take(path: &Path, links: Links) -> Result<Option<Lock>> {
        Lock::ask_for(path, links, File::try_lock)
    }

    /// Like [`Lock::take`], but any number of processes can share the lock; `None` if a process holds it for itself.
    ///
    /// # Errors
    ///
    /// Those of [`Lock::take`].
    pub fn share(path: &Path, links: Links) -> Result<Option<Lock>> {
        Lock::ask_for(path, links, File::try_lock_shared)
    }

    fn ask_for(path: &Path, links: Links, kind: fn(&File) -> Result<(), TryLockError>) -> Result<Option<Lock>> {
        // Some systems lock only what is open for reading (Windows, and NFS for a shared lock) or for writing (NFS).
        let options = File::options().create(true).read(true).append(true).clone();
        loop {
            let file = open_own_file(path, &options, links)?;
            let Some(missing) = ask(kind(&file)).map_err(Error::io("lock", path))? else { return Ok(None) };
            // The former holder may have removed the file, in which case this lock protects nothing.
            let is_current =
                file.try_clone().and_then(Handle::from_file).and_then(|held| Ok(held == Handle::from_path(path)?));
            match is_current {
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("lock", path)(error)),
                Ok(true) => {
                    return Ok(Some(Lock { path: path.to_path_buf(), _file: file, missing, is_removed: false }));
                }
            }
        }
    }

    /// Whether another process holds the lock of a file, alone or with others. No file is created.
    ///
    /// # Errors
    ///
    /// Those of [`Lock::take`].
    pub fn is_held(path: &Path, links: Links) -> Result<bool> {
        let there = fs::exists(path).map_err(Error::io("look for", path))?;
        Ok(there && Lock::take(path, links)?.is_none())
    }

    /// Like [`Lock::take`], but waits until the lock is free; `waiting` is called before the wait starts.
    ///
    /// # Errors
    ///
    /// Those of [`Lock::take`], and [`Error::File`] if it is still held after `patience`, if that is given.
    pub fn wait(path: &Path, links: Links, patience: Option<Duration>, waiting: impl FnOnce()) -> Result<Lock> {
        if let Some(lock) = Lock::take(path, links)? {
            return Ok(lock);
        }
        waiting();
        let start = Instant::now();
        loop {
            std::thread::sleep(PAUSE);
            if let Some(lock) = Lock::take(path, links)? {
                return Ok(lock);
            }
            if let Some(patience) = patience.filter(|patience| start.elapsed() > *patience) {
                return Err(Error::file(path, format!("another process has held this lock for {patience:.0?}")));
            }
        }
    }

    /// The same lock, but its file is removed at the end: for folders in which nothing should be left.
    #[cfg(any(test, feature = "fetch"))]
    pub(crate) fn removed_at_the_end(mut self) -> Lock {
        self.is_removed = true;
        self
    }

    /// The reason why this lock has no effect, on a file system without locks.
    pub fn missing(&self) -> Option<&io::Error> {
        self.missing.as_ref()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.is_removed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The result of asking for a lock: `None` if another process holds it, else the error if the file system has no locks.
fn ask(answer: Result<(), TryLockError>) -> io::Result<Option<Option<io::Error>>> {
    match answer {
        Ok(()) => Ok(Some(None)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) if has_no_locks(&error) => Ok(Some(Some(error))),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether an error says that the file system does not support locks: ENOSYS, EOPNOTSUPP, or ENOLCK, which some network
/// file systems return.
fn has_no_locks(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::ENOLCK) {
        return true;
    }
    error.kind() == ErrorKind::Unsupported
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (inside, passed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (path, inside, passed) = (&path, &inside, &passed);
                scope.spawn(move || {
                    for _ in 0..20 {
                        let lock = Lock::wait(path, Links::Follow, None, || ()).unwrap();
                        assert!(lock.missing().is_none());
                        // Half of the threads remove the file while others wait for it.
                        let lock = if thread % 2 == 0 { lock.removed_at_the_end() } else { lock };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                        passed.fetch_add(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 160);
    }

    #[test]
    fn a_lock_that_is_held_turns_others_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::take(&path, Links::Follow).unwrap().unwrap();
        assert!(Lock::take(&path, Links::Follow).unwrap().is_none());
        let mut waited = false;
        let refused = Lock::wait(&path, Links::Follow, Some(Duration::ZERO), || waited = true).unwrap_err().to_string();
        assert!(waited && refused.ends_with("another process has held this lock for 0ns"), "{refused}");
        drop(held);
        assert!(Lock::take(&path, Links::Follow).unwrap().is_some() && path.exists());
        let nowhere = Lock::take(&path.join("below"), Links::Follow).unwrap_err().to_string();
        assert!(nowhere.starts_with("cannot read "), "{nowhere}");
        let no_file = Lock::take(folder.path(), Links::Follow).unwrap_err().to_string();
        assert!(no_file.contains("expected a regular file, got a folder"), "{no_file}");
    }

    #[test]
    fn a_shared_lock_is_held_by_many_or_by_one_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (take, share) =
            (|| Lock::take(&path, Links::Follow).unwrap(), || Lock::share(&path, Links::Follow).unwrap());
        let is_held = || Lock::is_held(&path, Links::Follow).unwrap();
        assert!(!is_held() && !path.exists());
        let alone = take().unwrap();
        assert!(share().is_none() && is_held());
        drop(alone);
        let (first, second) = (share().unwrap(), share().unwrap());
        assert!(take().is_none() && is_held());
        drop(first);
        assert!(take().is_none() && is_held());
        drop(second);
        assert!(!is_held() && take().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_system_without_locks_is_told_from_one_that_fails() {
        let answer = |code: i32| ask(Err(TryLockError::Error(io::Error::from_raw_os_error(code))));
        for code in [libc::ENOLCK, libc::ENOSYS, libc::EOPNOTSUPP] {
            assert_eq!(answer(code).unwrap().unwrap().unwrap().raw_os_error(), Some(code));
        }
        assert_eq!(answer(libc::EIO).unwrap_err().raw_os_error(), Some(libc::EIO));
        assert!(ask(Err(TryLockError::WouldBlock)).unwrap().is_none());
    }
}
