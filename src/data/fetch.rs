//! Downloads a data set from one of several mirrors, resumes interrupted downloads, and verifies checksums.
//!
//! Each file is received as `NAME.gz.part`. Its unpacked content is compared with the published length and SHA-256,
//! since mirrors may compress the same bytes differently. Only then is it renamed to `NAME.gz`, so that a file with its
//! final name is complete. Only one process at a time downloads into a folder; others wait and find the files there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::http::Response;

use super::{hex, idx, unpack};
use crate::error::{Error, Result};
use crate::files::{Links, beside, open_own_file, put_in_place};
use crate::lock::Lock;

/// A server that has all files of a data set, compressed with gzip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mirror<'a> {
    /// Base URL; `NAME.gz` is appended after a slash.
    pub url: &'a str,
}

/// A file to download, with its expected content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected<'a> {
    /// Name of the file, without `.gz`.
    pub name: &'a str,
    /// Unpacked size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the unpacked bytes, in lower-case hexadecimal.
    pub sha256: &'a str,
}

/// Mirrors of MNIST, in the order in which they are tried.
pub const MNIST_MIRRORS: [Mirror<'static>; 2] = [
    Mirror { url: "https://storage.googleapis.com/cvdf-datasets/mnist" },
    Mirror { url: "https://ossci-datasets.s3.amazonaws.com/mnist" },
];

/// Lock file of the process that downloads into a folder; it is removed when the download has ended.
const LOCK_FILE: &str = ".shadegrad-fetch.lock";

/// Bytes to read at a time.
const CHUNK: usize = 1 << 16;

/// The four files of MNIST.
pub const MNIST: [Expected<'static>; 4] = [
    Expected {
        name: "train-images-idx3-ubyte",
        bytes: 47_040_016,
        sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    },
    Expected {
        name: "train-labels-idx1-ubyte",
        bytes: 60_008,
        sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    },
    Expected {
        name: "t10k-images-idx3-ubyte",
        bytes: 7_840_016,
        sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    },
    Expected {
        name: "t10k-labels-idx1-ubyte",
        bytes: 10_008,
        sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
];

/// Timeouts for a mirror.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Time to wait for a connection.
    pub connect: Duration,
    /// Time to wait for further bytes; a slow download is not an error.
    pub read: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { connect: Duration::from_secs(15), read: Duration::from_secs(30) }
    }
}

/// Progress of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchProgress<'a> {
    /// Another process is downloading into this folder; waiting for it.
    Waiting(&'a Path),
    /// The correct file already exists.
    Kept(&'a Path),
    /// A mirror started to send a file.
    Started {
        /// URL of the file.
        url: &'a str,
        /// Bytes already received in an earlier attempt.
        have: u64,
        /// Total size in bytes, compressed like `have`, if the mirror gives it.
        total: Option<u64>,
    },
    /// Number of bytes received so far, including those of an earlier attempt.
    Advanced(u64),
    /// A mirror failed; the next one is tried.
    Failed {
        /// URL of the file.
        url: &'a str,
        /// Description of the failure.
        reason: &'a str,
    },
    /// A new file is complete and correct.
    Done(&'a Path),
}

/// A file that is available.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Path of the file.
    pub path: PathBuf,
    /// Whether it already existed.
    pub kept: bool,
}

/// Downloads the four files of MNIST into a folder, which is created if necessary. Correct files that exist are kept.
///
/// # Errors
///
/// [`Error::Download`] if no mirror could deliver a file, [`Error::File`] if a different file has its name,
/// [`Error::Io`] if the folder cannot be written.
pub fn fetch_mnist(
    to: &Path,
    mirrors: &[Mirror<'_>],
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<Vec<Fetched>> {
    fetch(to, &MNIST, mirrors, Patience::default(), progress)
}

/// Downloads such files into a folder.
///
/// # Errors
///
/// As for [`fetch_mnist`].
pub fn fetch(
    to: &Path,
    files: &[Expected<'_>],
    mirrors: &[Mirror<'_>],
    patience: Patience,
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<Vec<Fetched>> {
    fs::create_dir_all(to).map_err(Error::io("create", to))?;
    let mut there = files.iter().map(|file| look(to, file)).collect::<Result<Vec<_>>>()?;
    let mut part = PART.to_string();
    let mut _lock = None;
    if there.iter().any(Option::is_none) {
        let lock = Lock::wait(&to.join(LOCK_FILE), Links::Follow, None, || progress(FetchProgress::Waiting(to)))?
            .removed_at_the_end();
        if lock.missing().is_some() {
            // Without a lock another process may download into the same folder: the partial file gets a name of its
            // own.
            part = format!(".{}{PART}", std::process::id());
        }
        _lock = Some(lock);
        for (file, there) in files.iter().zip(&mut there).filter(|(_, there)| there.is_none()) {
            *there = look(to, file)?;
        }
    }
    let agent = agent(patience);
    let mut fetched = Vec::new();
    for (file, there) in files.iter().zip(there) {
        if let Some(path) = there {
            progress(FetchProgress::Kept(&path));
            fetched.push(Fetched { path, kept: true });
            continue;
        }
        let target = to.join(format!("{}.gz", file.name));
        let places = Places { part: beside(&target, &part), target };
        if let Err(reasons) = from_any(&agent, mirrors, file, &places, progress)? {
            return Err(Error::Download(by_hand(to, files, file, &reasons)));
        }
        progress(FetchProgress::Done(&places.target));
        fetched.push(Fetched { path: places.target, kept: false });
    }
    Ok(fetched)
}

/// The correct file, if it exists. A different file with its name may belong to another data set and is not replaced.
fn look(folder: &Path, file: &Expected<'_>) -> Result<Option<PathBuf>> {
    let Some(path) = idx::present(folder, file.name)? else { return Ok(None) };
    match fault(&path, file)? {
        None => Ok(Some(path)),
        Some(problem) => {
            let problem = format!("{problem}; move it away, or choose another folder");
            Err(Error::file(&path, problem))
        }
    }
}

fn by_hand(to: &Path, files: &[Expected<'_>], failed: &Expected<'_>, reasons: &[String]) -> String {
    let names: Vec<_> = files.iter().map(|file| format!("{}.gz", file.name)).collect();
    format!(
        "cannot download {}.gz{}\nrun the command again to continue where it stopped, or put the files into {} yourself: {}",
        failed.name,
        reasons.iter().map(|reason| format!("\n  {reason}")).collect::<String>(),
        to.display(),
        names.join(", ")
    )
}

fn agent(patience: Patience) -> Agent {
    Agent::config_builder()
        .timeout_connect(Some(patience.connect))
        .timeout_per_read(Some(patience.read))
        .http_status_as_error(false)
        // The files are compressed already, and resuming needs the bytes as they are stored.
        .accept_encoding("identity")
        .build()
        .new_agent()
}

/// Whether the mirror is at fault, so that another may succeed, or this machine.
enum Failure {
    Mirror(String),
    Here(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Here(error)
    }
}

/// Suffix of a file that is being downloaded.
const PART: &str = ".part";

/// Paths of a file during and after its download.
struct Places {
    part: PathBuf,
    target: PathBuf,
}

/// Tries the mirrors in turn; the inner error has a line for each.
fn from_any(
    agent: &Agent,
    mirrors: &[Mirror<'_>],
    file: &Expected<'_>,
    places: &Places,
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<Result<(), Vec<String>>> {
    let mut reasons = Vec::new();
    for mirror in mirrors {
        let url = format!("{}/{}.gz", mirror.url.trim_end_matches('/'), file.name);
        match from_one(agent, &url, file, places, progress) {
            Ok(()) => return Ok(Ok(())),
            Err(Failure::Here(error)) => return Err(error),
            Err(Failure::Mirror(reason)) => {
                progress(FetchProgress::Failed { url: &url, reason: &reason });
                reasons.push(format!("{url}: {reason}"));
            }
        }
    }
    Ok(Err(reasons))
}

/// Receives, verifies and renames a file. If a resumed download turns out wrong, the fault may be in the earlier part,
/// or the mirrors compress differently: then the whole file is requested once.
fn from_one(
    agent: &Agent,
    url: &str,
    file: &Expected<'_>,
    places: &Places,
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<(), Failure> {
    let Places { part, target } = places;
    loop {
        let resumed = receive(agent, url, part, most(file), progress)?;
        let Some(problem) = fault(part, file)? else {
            return Ok(put_in_place(part, target).map_err(Error::io("create", target))?);
        };
        remove(part)?;
        if !resumed {
            return Err(Failure::Mirror(problem));
        }
    }
}

/// The largest size of a compressed file: gzip adds 5 bytes to each block of at least 16 KiB that does not compress,
/// plus a header.
fn most(file: &Expected<'_>) -> u64 {
    file.bytes + file.bytes / 1024 + 4096
}

/// Downloads into `part`, continuing after its content if possible. Returns whether it continued.
fn receive(
    agent: &Agent,
    url: &str,
    part: &Path,
    cap: u64,
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<bool, Failure> {
    let have = fs::metadata(part).map_or(0, |metadata| metadata.len());
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let response = request.call().map_err(|error| Failure::Mirror(error.to_string()))?;
    let start = match response.status().as_u16() {
        200 => 0,
        206 if have > 0 && first_byte(&response) == Some(have) => have,
        206 | 416 if have > 0 => {
            remove(part)?;
            return receive(agent, url, part, cap, progress);
        }
        _ => return Err(Failure::Mirror(format!("returned {}", response.status()))),
    };

    let mut body = response.into_body();
    let total = body.content_length().map(|length| start.saturating_add(length));
    progress(FetchProgress::Started { url, have: start, total });
    let mut file = open_own_file(part, OpenOptions::new().create(true).write(true).truncate(false), Links::Refuse)?;
    file.set_len(start).map_err(Error::io("write", part))?;
    file.seek(SeekFrom::Start(start)).map_err(Error::io("write", part))?;
    pour(&mut body.as_reader(), &mut file, part, start..cap, progress)?;
    file.sync_all().map_err(Error::io("write", part))?;
    Ok(start > 0)
}

/// Copies until the source ends, from byte `range.start` up to byte `range.end`.
fn pour(
    source: &mut impl Read,
    file: &mut File,
    path: &Path,
    range: std::ops::Range<u64>,
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<(), Failure> {
    let mut buffer = vec![0; CHUNK];
    let mut have = range.start;
    loop {
        let got = match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Mirror(format!("stopped after {have} bytes: {error}"))),
        };
        have += got as u64;
        if have > range.end {
            remove(path)?;
            return Err(Failure::Mirror(format!("sent more than the {} bytes that this file can have", range.end)));
        }
        file.write_all(&buffer[..got]).map_err(Error::io("write", path))?;
        progress(FetchProgress::Advanced(have));
    }
}

/// Where a partial response starts: 500 in `Content-Range: bytes 500-999/1000`.
fn first_byte<T>(response: &Response<T>) -> Option<u64> {
    let range = response.headers().get("Content-Range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// What is wrong with a file, compressed or not; `None` if it is the expected one.
fn fault(path: &Path, file: &Expected<'_>) -> Result<Option<String>> {
    let opened = open_own_file(path, File::options().read(true), Links::Follow)?;
    let read = unpack::unpacked(opened).and_then(|bytes| sum(bytes.take(file.bytes + 1)));
    let problem = match read {
        Ok((bytes, _)) if bytes > file.bytes => format!("more than {} bytes", file.bytes),
        Ok((bytes, _)) if bytes < file.bytes => format!("{bytes} bytes"),
        Ok((_, sha256)) if sha256 == file.sha256 => return Ok(None),
        Ok((_, sha256)) => format!("SHA-256 {sha256}"),
        Err(error) if unpack::is_broken_gzip(&error) => format!("a broken gzip stream ({error})"),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    let Expected { name, bytes, sha256 } = file;
    Ok(Some(format!("is not {name}: expected {bytes} bytes with SHA-256 {sha256}, got {problem}")))
}

/// Length and SHA-256 of everything in a source.
fn sum(source: impl Read) -> io::Result<(u64, String)> {
    let mut source = BufReader::with_capacity(CHUNK, source);
    let (mut bytes, mut digest) = (0, Sha256::new());
    loop {
        let chunk = source.fill_buf()?;
        if chunk.is_empty() {
            return Ok((bytes, hex(&digest.finalize())));
        }
        digest.update(chunk);
        let read = chunk.len();
        bytes += read as u64;
        source.consume(read);
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_range() {
        let first = |value: &str| first_byte(&Response::builder().header("Content-Range", value).body(()).unwrap());
        assert_eq!(first("bytes 500-999/1000"), Some(500));
        assert_eq!(first("bytes 0-0/*"), Some(0));
        assert_eq!(first("bytes */1000"), None);
        assert_eq!(first("lines 1-2/3"), None);
        assert_eq!(first_byte(&Response::new(())), None);
    }

    /// SHA-256 of "abc", from FIPS 180.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn faults_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        let expected = Expected { name: "abc", bytes: 3, sha256: ABC };
        let said = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            fault(&path, &expected).unwrap().map(|problem| problem.split(", got ").last().unwrap_or("").to_string())
        };
        assert_eq!(said(b"abc"), None);
        assert_eq!(said(b"ab").unwrap(), "2 bytes");
        assert_eq!(said(b"abcd").unwrap(), "more than 3 bytes");
        assert!(said(b"abd").unwrap().starts_with("SHA-256 a52d159f"));
        assert!(said(b"\x1f\x8b\x08").unwrap().starts_with("a broken gzip stream"));
    }
}
