//! Data sets from files, downloads and pictures: valid ones, and many kinds of invalid ones.
//!
//! Downloads come from a tiny HTTP server on the loopback interface that misbehaves on request.

#![cfg(all(feature = "fetch", feature = "images"))]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use shadegrad::data::fetch::{Expected, FetchProgress, Mirror, Patience, fetch};
use shadegrad::data::form::Form;
use shadegrad::data::{DataPair, Dataset, Source, idx, prepare, sheet};
use shadegrad::error::Error;
use tempfile::{TempDir, tempdir};

fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::new(level));
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// The sorted names in a folder.
fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

// ---- folders ------------------------------------------------------------------------------------------------------

const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

fn set(name: &str, shape: [usize; 3], labels: &[u8], classes: usize) -> Dataset {
    let images = (0..labels.len() * shape.iter().product::<usize>()).map(|i| (i * 31 % 251) as u8).collect();
    Dataset::new(images, labels.into(), shape, classes).unwrap().named(name)
}

/// A folder with sets of 5 and 3 images of 4 x 3, and the two sets.
fn folder() -> (TempDir, Dataset, Dataset) {
    let dir = tempdir().unwrap();
    let (train, test) = (set("train", [4, 3, 1], &[0, 3, 1, 2, 3], 4), set("test", [4, 3, 1], &[3, 0, 2], 4));
    idx::write_folder(dir.path(), &train, &test).unwrap();
    (dir, train, test)
}

fn load(folder: &Path) -> Result<DataPair, Error> {
    Source::Folder(folder.into()).load()
}

fn refused(folder: &Path) -> String {
    load(folder).unwrap_err().to_string()
}

#[test]
fn a_folder_round_trip() {
    let (dir, train, test) = folder();
    let pair = load(dir.path()).unwrap();
    assert_eq!((&pair.train, &pair.test), (&train, &test));
    assert_eq!(pair.source, format!("MNIST-format files in {}", dir.path().display()));
    assert_eq!(listing(dir.path()).len(), 4);
}

#[test]
fn colour_survives_a_round_trip() {
    let dir = tempdir().unwrap();
    let (train, test) = (set("train", [2, 5, 3], &[0, 1], 2), set("test", [2, 5, 3], &[1], 2));
    idx::write_folder(&dir.path().join("new/folder"), &train, &test).unwrap();
    let pair = load(&dir.path().join("new/folder")).unwrap();
    assert_eq!((pair.train, pair.test), (train, test));
}

#[test]
fn all_spellings_are_read_compressed_or_not() {
    let (dir, train, _) = folder();
    let path = |name: &str| dir.path().join(name);
    // Uncompressed bytes with the suffix .gz, compressed bytes without it, and a dot instead of the dash.
    idx::write_images(&path("plain"), train.images(), train.shape()).unwrap();
    fs::rename(path("plain"), path("train-images-idx3-ubyte.gz")).unwrap();
    fs::rename(path("train-labels-idx1-ubyte.gz"), path("train-labels-idx1-ubyte")).unwrap();
    fs::rename(path("t10k-images-idx3-ubyte.gz"), path("t10k-images.idx3-ubyte.gz")).unwrap();
    fs::rename(path("t10k-labels-idx1-ubyte.gz"), path("t10k-labels.idx1-ubyte")).unwrap();
    assert_eq!(load(dir.path()).unwrap().train, train);
}

#[test]
fn a_missing_file_is_named_with_its_folder_and_the_remedy() {
    for name in NAMES {
        let (dir, ..) = folder();
        fs::remove_file(dir.path().join(format!("{name}.gz"))).unwrap();
        let said = refused(dir.path());
        let dotted = name.replace("-idx", ".idx");
        assert!(said.contains(&format!("no file {name}, {name}.gz, {dotted}, {dotted}.gz here")), "{said}");
        assert!(said.starts_with(&dir.path().display().to_string()), "{said}");
        assert!(said.contains("shadegrad data fetch mnist") && said.contains("--data builtin"), "{said}");
    }
    assert!(refused(Path::new("no/such/folder")).starts_with("no/such/folder: no file train-images"));
}

#[test]
fn sets_that_do_not_fit_together_are_refused() {
    let (dir, train, test) = folder();
    let path = |name: &str| dir.path().join(format!("{name}.gz"));

    idx::write_labels(&path(NAMES[1]), &[1, 2, 3]).unwrap();
    let said = refused(dir.path());
    assert!(said.contains(&format!("{}: has 3 labels for the 5 images in", path(NAMES[1]).display())), "{said}");
    idx::write_labels(&path(NAMES[1]), train.labels()).unwrap();

    idx::write_labels(&path(NAMES[3]), &[3, 4, 2]).unwrap();
    let said = refused(dir.path());
    let expected = "label 1 is 4, but training labels only go from 0 to 3";
    assert_eq!(said, format!("{}: {expected}", path(NAMES[3]).display()));
    idx::write_labels(&path(NAMES[3]), test.labels()).unwrap();

    idx::write_images(&path(NAMES[2]), &[0; 45], [5, 3, 1]).unwrap();
    let expected = "test images are 5 x 3 x 1, but training images 4 x 3 x 1";
    assert_eq!(refused(dir.path()), format!("{}: {expected}", path(NAMES[2]).display()));
}

#[test]
fn there_are_at_least_two_classes() {
    let dir = tempdir().unwrap();
    let (train, test) = (set("train", [1, 1, 1], &[0, 0], 1), set("test", [1, 1, 1], &[1], 2));
    idx::write_folder(dir.path(), &train, &test).unwrap();
    let pair = load(dir.path()).unwrap();
    assert_eq!((pair.train.classes(), pair.test.classes()), (2, 2));
}

#[test]
fn broken_files_are_named() {
    let (dir, ..) = folder();
    let path = dir.path().join("train-images-idx3-ubyte.gz");
    fs::write(&path, b"\0\0\x08\x03\0\0\0\x05\0\0\0\x04\0\0\0\x03 too short").unwrap();
    let expected = format!("{}: truncated: expected 60 bytes of data, got 10", path.display());
    assert_eq!(refused(dir.path()), expected);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(load(dir.path()), Err(Error::Io { .. })));
}

#[test]
fn nonsense_is_not_written() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("file");
    for (pixels, shape) in [(&[1, 2, 3][..], [2, 1, 1]), (&[], [2, 1, 1]), (&[1], [0, 1, 1])] {
        assert!(matches!(idx::write_images(&path, pixels, shape), Err(Error::Usage(_))));
    }
    assert!(matches!(idx::write_labels(&path, &[]), Err(Error::Usage(_))));
    assert!(matches!(idx::write_labels(&dir.path().join("none/file"), &[1]), Err(Error::Io { .. })));
    assert!(listing(dir.path()).is_empty());
}

#[test]
fn the_builtin_digits_are_two_different_sets() {
    let pair = Source::Builtin { seed: 7 }.load().unwrap();
    assert_eq!((pair.train.len(), pair.test.len()), (20_000, 4_000));
    assert_eq!((pair.train.images().len(), pair.test.images().len()), (20_000 * 784, 4_000 * 784));
    assert_eq!((pair.train.classes(), pair.train.shape()), (10, [28, 28, 1]));
    // With a common seed, images at equal positions would be equal.
    assert!((0..4_000).all(|i| pair.train.image(i) != pair.test.image(i)));
    assert_eq!(pair.source, "built-in digits, seed 7");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_written_reads_back(
        shape in [1_usize..9, 1_usize..9, 1_usize..5],
        labels in proptest::collection::vec(any::<u8>(), 1..20),
        seed in any::<u8>(),
        packed in any::<bool>(),
    ) {
        let dir = tempdir().unwrap();
        let path = dir.path().join(if packed { "file.gz" } else { "file" });
        let pixels: Vec<u8> =
            (0..labels.len() * shape.iter().product::<usize>()).map(|i| (i as u8).wrapping_mul(seed)).collect();
        idx::write_images(&path, &pixels, shape).unwrap();
        prop_assert_eq!(fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]), packed);
        let images = idx::read_images(&path).unwrap();
        prop_assert_eq!(images.count(), labels.len());
        prop_assert_eq!(images, idx::Images { pixels, shape });
        idx::write_labels(&path, &labels).unwrap();
        prop_assert_eq!(idx::read_labels(&path).unwrap(), labels);
    }
}

// ---- downloads ----------------------------------------------------------------------------------------------------

/// How a server handles a request.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Sends everything with status 200, whatever range was requested.
    Whole,
    /// Sends what was requested, with status 206 for a range.
    Ranges,
    /// Returns 206, but starts at the first byte.
    WrongRange,
    /// Returns 416 for every range, and otherwise everything.
    Unsatisfiable,
    /// Closes the connection after this many bytes of the body.
    Cut(usize),
    /// Sends an endless body of unknown length.
    Endless,
    /// Returns this status.
    Status(u16),
    /// Accepts the connection and sends nothing.
    Silent,
}

/// Serves the same bytes under every path, on its own port, until it is dropped.
struct Server {
    url: String,
    /// The range header of each request, or an empty string.
    ranges: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn new(manner: Manner, bytes: &[u8]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mnist/", listener.local_addr().unwrap());
        let (ranges, stop) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (log, stopped, bytes) = (ranges.clone(), stop.clone(), bytes.to_vec());
        let thread = std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                let range = request_range(&stream);
                log.lock().unwrap().push(range.clone());
                // The client may close the connection first.
                let _ = answer(&mut stream, manner, &range, &bytes);
                if manner == Manner::Silent {
                    open.push(stream);
                }
            }
        });
        Server { url, ranges, stop, thread: Some(thread) }
    }

    fn mirror(&self) -> Mirror<'_> {
        Mirror { url: &self.url }
    }

    fn ranges(&self) -> Vec<String> {
        self.ranges.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let address = self.url.trim_start_matches("http://").trim_end_matches("/mnist/");
        let _ = TcpStream::connect(address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn request_range(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let range = lines.filter_map(|line| line.to_lowercase().strip_prefix("range: ").map(str::to_string)).last();
    range.unwrap_or_default()
}

fn answer(stream: &mut TcpStream, manner: Manner, range: &str, bytes: &[u8]) -> std::io::Result<()> {
    let start = range.strip_prefix("bytes=").and_then(|range| range.trim_end_matches('-').parse::<usize>().ok());
    let (status, start) = match (manner, start) {
        (Manner::Silent, _) => return Ok(()),
        (Manner::Status(status), _) => (status, 0),
        (Manner::Unsatisfiable, Some(_)) => (416, 0),
        (Manner::Ranges, Some(start)) if start >= bytes.len() => (416, 0),
        (Manner::Ranges, Some(start)) => (206, start),
        (Manner::WrongRange, Some(_)) => (206, 0),
        _ => (200, 0),
    };
    let body = if matches!(status, 200 | 206) { &bytes[start..] } else { b"no" };
    write!(stream, "HTTP/1.1 {status} Status\r\nConnection: close\r\n")?;
    if status == 206 {
        write!(stream, "Content-Range: bytes {start}-{}/{}\r\n", bytes.len() - 1, bytes.len())?;
    }
    match manner {
        Manner::Endless => {
            write!(stream, "\r\n")?;
            loop {
                stream.write_all(&[7; 4096])?;
            }
        }
        Manner::Cut(after) => {
            write!(stream, "Content-Length: {}\r\n\r\n", body.len())?;
            stream.write_all(&body[..after])
        }
        _ => {
            write!(stream, "Content-Length: {}\r\n\r\n", body.len())?;
            stream.write_all(body)
        }
    }
}

const PATIENCE: Patience = Patience { connect: Duration::from_millis(500), read: Duration::from_millis(150) };

/// A file of 3000 bytes that gzip halves: large enough to be cut in the middle.
struct Case {
    dir: TempDir,
    bytes: Vec<u8>,
    sha256: String,
}

impl Case {
    fn new() -> Case {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 60) as u8
        };
        let bytes: Vec<u8> = (0..3000).map(|_| next()).collect();
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Case { dir: tempdir().unwrap(), bytes, sha256 }
    }

    fn packed(&self) -> Vec<u8> {
        gzip(&self.bytes, 6)
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.dir.path().join(format!("file-idx1-ubyte{suffix}"))
    }

    /// Downloads, and returns the result with a line for each event.
    fn fetch(&self, servers: &[&Server]) -> (Result<bool, Error>, Vec<String>) {
        let mirrors: Vec<_> = servers.iter().map(|server| server.mirror()).collect();
        let expected = Expected { name: "file-idx1-ubyte", bytes: 3000, sha256: &self.sha256 };
        let mut story = Vec::new();
        let mut tell = |progress: FetchProgress<'_>| {
            story.push(match progress {
                FetchProgress::Waiting(_) => "waiting".into(),
                FetchProgress::Kept(_) => "kept".into(),
                FetchProgress::Started { have, total, .. } => format!("from {have} of {total:?}"),
                FetchProgress::Advanced(_) => return,
                FetchProgress::Failed { reason, .. } => format!("failed: {reason}"),
                FetchProgress::Done(_) => "done".into(),
            });
        };
        let fetched = fetch(self.dir.path(), &[expected], &mirrors, PATIENCE, &mut tell);
        (fetched.map(|files| files[0].kept), story)
    }

    /// The file is complete and correct, and there are no others.
    fn assert_in_place(&self) {
        let mut unpacked = Vec::new();
        let packed = fs::read(self.path(".gz")).unwrap();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, self.bytes);
        assert_eq!(listing(self.dir.path()), ["file-idx1-ubyte.gz"]);
    }
}

#[test]
fn a_download_arrives_and_is_kept_the_next_time() {
    let case = Case::new();
    let server = Server::new(Manner::Whole, &case.packed());
    let (fetched, story) = case.fetch(&[&server]);
    assert!(!fetched.unwrap());
    assert_eq!(story, [format!("from 0 of Some({})", case.packed().len()), "done".into()]);
    case.assert_in_place();
    let (fetched, story) = case.fetch(&[&server]);
    assert!(fetched.unwrap());
    assert_eq!(story, ["kept"]);
    assert_eq!(server.ranges(), [""]);
}

#[test]
fn a_right_file_is_kept_in_any_spelling() {
    for suffix in ["", ".gz"] {
        let case = Case::new();
        fs::write(case.path(suffix), &case.bytes).unwrap();
        assert!(case.fetch(&[]).0.unwrap());
    }
}

#[test]
fn a_different_file_with_that_name_is_kept() {
    let case = Case::new();
    let server = Server::new(Manner::Whole, &case.packed());
    fs::write(case.path(".gz"), b"my own data").unwrap();
    let said = case.fetch(&[&server]).0.unwrap_err().to_string();
    assert!(said.contains("is not file-idx1-ubyte: expected 3000 bytes"), "{said}");
    assert!(said.contains("got 11 bytes; move it away, or choose another folder"), "{said}");
    assert_eq!(fs::read(case.path(".gz")).unwrap(), b"my own data");
    assert!(server.ranges().is_empty());
}

#[test]
fn an_interrupted_download_is_resumed() {
    let case = Case::new();
    let packed = case.packed();
    let cutting = Server::new(Manner::Cut(1000), &packed);
    let (fetched, story) = case.fetch(&[&cutting]);
    assert!(matches!(fetched, Err(Error::Download(_))));
    assert!(story[1].starts_with("failed: stopped after 1000 bytes"), "{story:?}");
    assert_eq!(fs::read(case.path(".gz.part")).unwrap(), packed[..1000]);

    let whole = Server::new(Manner::Ranges, &packed);
    let (fetched, story) = case.fetch(&[&whole]);
    assert!(!fetched.unwrap());
    assert_eq!(whole.ranges(), ["bytes=1000-"]);
    assert_eq!(story[0], format!("from 1000 of Some({})", packed.len()));
    case.assert_in_place();
}

#[test]
fn the_second_mirror_continues_what_the_first_cut_off() {
    let case = Case::new();
    let (cutting, whole) =
        (Server::new(Manner::Cut(1000), &case.packed()), Server::new(Manner::Ranges, &case.packed()));
    assert!(!case.fetch(&[&cutting, &whole]).0.unwrap());
    assert_eq!(whole.ranges(), ["bytes=1000-"]);
    case.assert_in_place();
}

/// Mirrors compress differently: 1000 bytes of one and the rest of another do not form a valid file.
#[test]
fn a_mixture_of_packings_is_noticed_and_fetched_whole() {
    let case = Case::new();
    let other = Server::new(Manner::Ranges, &gzip(&case.bytes, 0));
    fs::write(case.path(".gz.part"), &case.packed()[..1000]).unwrap();
    assert!(!case.fetch(&[&other]).0.unwrap());
    assert_eq!(other.ranges(), ["bytes=1000-", ""]);
    case.assert_in_place();
}

#[test]
fn a_server_without_ranges_starts_over() {
    let case = Case::new();
    // The part is longer than the file: nothing of it may remain after the end.
    fs::write(case.path(".gz.part"), [9; 5000]).unwrap();
    let server = Server::new(Manner::Whole, &case.packed());
    assert!(!case.fetch(&[&server]).0.unwrap());
    assert_eq!(server.ranges(), ["bytes=5000-"]);
    case.assert_in_place();
}

#[test]
fn a_range_that_cannot_be_had_starts_over() {
    for manner in [Manner::Unsatisfiable, Manner::WrongRange, Manner::Ranges] {
        let case = Case::new();
        let length = if manner == Manner::Ranges { case.packed().len() } else { 1000 };
        fs::write(case.path(".gz.part"), vec![9; length]).unwrap();
        let server = Server::new(manner, &case.packed());
        let (fetched, story) = case.fetch(&[&server]);
        assert!(!fetched.unwrap());
        assert_eq!(server.ranges(), [format!("bytes={length}-"), String::new()]);
        // No bytes were taken from the wrong position first.
        assert_eq!(story, [format!("from 0 of Some({})", case.packed().len()), "done".into()]);
        case.assert_in_place();
    }
}

#[test]
fn wrong_bytes_lead_to_the_next_mirror_and_leave_nothing() {
    let case = Case::new();
    let wrong = Server::new(Manner::Ranges, &gzip(&[5; 3000], 6));
    let right = Server::new(Manner::Ranges, &case.packed());
    let (fetched, story) = case.fetch(&[&wrong, &right]);
    assert!(!fetched.unwrap());
    assert!(story[1].contains("got SHA-256"), "{story:?}");
    // Not resumed, since the wrong part was removed.
    assert_eq!(right.ranges(), [""]);
    case.assert_in_place();

    let case = Case::new();
    assert!(case.fetch(&[&wrong]).0.is_err());
    assert!(listing(case.dir.path()).is_empty());
}

#[test]
fn every_mirror_and_the_remedy_are_in_the_error() {
    let case = Case::new();
    let servers = [
        Server::new(Manner::Status(404), b""),
        Server::new(Manner::Status(500), b""),
        Server::new(Manner::Whole, b"<html>Log in to the hotel's network</html>"),
    ];
    let (fetched, _) = case.fetch(&servers.iter().collect::<Vec<_>>());
    let said = fetched.unwrap_err().to_string();
    for (server, reason) in
        servers.iter().zip(["returned 404", "returned 500", "is not file-idx1-ubyte: expected 3000"])
    {
        assert!(said.contains(&format!("{}file-idx1-ubyte.gz: {reason}", server.url)), "{said}");
    }
    assert!(said.starts_with("cannot download file-idx1-ubyte.gz"), "{said}");
    let remedy = format!("put the files into {} yourself: file-idx1-ubyte.gz", case.dir.path().display());
    assert!(said.contains(&remedy), "{said}");
    assert!(listing(case.dir.path()).is_empty());
}

#[test]
fn a_silent_mirror_times_out() {
    let case = Case::new();
    let (silent, right) = (Server::new(Manner::Silent, b""), Server::new(Manner::Whole, &case.packed()));
    let begun = Instant::now();
    let (fetched, story) = case.fetch(&[&silent, &right]);
    assert!(!fetched.unwrap());
    assert!(story[0].contains("timeout"), "{story:?}");
    assert!(begun.elapsed() < Duration::from_secs(3));
    case.assert_in_place();
}

#[test]
fn an_unreachable_mirror_is_skipped() {
    let case = Case::new();
    let gone = Server::new(Manner::Silent, b"");
    let url = gone.url.clone();
    drop(gone);
    let right = Server::new(Manner::Whole, &case.packed());
    let expected = Expected { name: "file-idx1-ubyte", bytes: 3000, sha256: &case.sha256 };
    let mirrors = [Mirror { url: &url }, right.mirror()];
    fetch(case.dir.path(), &[expected], &mirrors, PATIENCE, &mut |_| {}).unwrap();
    case.assert_in_place();
}

#[test]
fn a_body_without_end_is_cut_at_the_cap() {
    let case = Case::new();
    let endless = Server::new(Manner::Endless, b"");
    let (fetched, story) = case.fetch(&[&endless]);
    assert!(fetched.is_err());
    assert!(story[1].contains("sent more than the 7098 bytes that this file can have"), "{story:?}");
    assert!(listing(case.dir.path()).is_empty());
}

/// Locks belong to open files, so threads stand in for processes. One of them downloads, and all get the file.
#[test]
fn five_downloads_into_one_folder_do_not_disturb_each_other() {
    let case = Case::new();
    let server = Server::new(Manner::Ranges, &case.packed());
    let kept = std::thread::scope(|scope| {
        let downloads: Vec<_> = (0..5).map(|_| scope.spawn(|| case.fetch(&[&server]).0.unwrap())).collect();
        downloads.into_iter().map(|download| download.join().unwrap()).filter(|kept| *kept).count()
    });
    assert_eq!(kept, 4);
    assert_eq!(server.ranges(), [""]);
    case.assert_in_place();
}

#[test]
fn an_unwritable_folder_is_not_blamed_on_mirrors() {
    let case = Case::new();
    let server = Server::new(Manner::Whole, &case.packed());
    fs::create_dir(case.path(".gz.part")).unwrap();
    assert!(matches!(case.fetch(&[&server, &server]).0, Err(Error::File { .. })));
    assert!(server.ranges().len() <= 1);
}

// ---- pictures -----------------------------------------------------------------------------------------------------

/// Prepares a picture in the form of MNIST.
fn prepare(path: &Path, shape: [usize; 3]) -> Result<Vec<u8>, Error> {
    prepare::prepare(path, shape, &Form::mnist(shape))
}

/// A dark ring on light paper, open at its upper right.
fn ring() -> image::DynamicImage {
    image::GrayImage::from_fn(100, 120, |x, y| {
        let distance = (f64::from(x) - 50.0).hypot(f64::from(y) - 70.0);
        let open = x > 50 && y < 64;
        image::Luma([if (20.0..28.0).contains(&distance) && !open { 30 } else { 220 }])
    })
    .into()
}

#[test]
fn png_and_jpeg_become_the_same_small_image() {
    let dir = tempdir().unwrap();
    let prepared = |name: &str, image: image::DynamicImage| {
        let path = dir.path().join(name);
        image.save(&path).unwrap();
        prepare(&path, [28, 28, 1]).unwrap()
    };
    let png = prepared("ring.png", ring());
    let jpeg = prepared("ring.jpg", ring().to_rgb8().into());
    assert_eq!(png.len(), 784);
    assert_eq!(png.iter().max(), Some(&255));
    assert!(png[14 * 28 + 14] < 20, "the ring is hollow");
    assert!(png.iter().zip(&jpeg).all(|(a, b)| a.abs_diff(*b) < 40));
    // A PNG name for a JPEG file.
    fs::rename(dir.path().join("ring.jpg"), dir.path().join("other.png")).unwrap();
    assert_eq!(prepare(&dir.path().join("other.png"), [28, 28, 1]).unwrap(), jpeg);
    assert_eq!(prepare(&dir.path().join("ring.png"), [32, 20, 3]).unwrap().len(), 32 * 20 * 3);
}

#[test]
fn files_that_are_not_pictures_are_named() {
    let dir = tempdir().unwrap();
    let said = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = prepare(&path, [28, 28, 1]).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
        let said = error.to_string();
        said.strip_prefix(&format!("{}: ", path.display())).unwrap().to_string()
    };
    let png = {
        let mut bytes = std::io::Cursor::new(Vec::new());
        ring().write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        bytes.into_inner()
    };
    // The content decides, not the name.
    assert!(said("text.png", b"this is no picture").starts_with("not a PNG or JPEG image"));
    assert!(said("text.txt", b"this is no picture").starts_with("not a PNG or JPEG image"));
    assert!(said("anim.gif", b"GIF89a\x01\0\x01\0\0\0\0").starts_with("not a PNG or JPEG image"));
    assert!(said("cut.png", &png[..png.len() / 2]).starts_with("the file ends early"));
    assert!(said("empty.png", b"").starts_with("not a PNG or JPEG image"));
    assert_eq!(
        said("bomb.png", &png_header(60_000, 60_000)),
        "has 60000 x 60000 pixels, more than the limit of 64 megapixels"
    );
    let missing = prepare(&dir.path().join("missing.png"), [28, 28, 1]).unwrap_err();
    assert!(matches!(missing, Error::Io { action: "open", .. }), "{missing}");
}

#[test]
fn an_empty_page_and_odd_channels_are_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("blank.png");
    image::GrayImage::from_pixel(30, 30, image::Luma([200])).save(&path).unwrap();
    let said = prepare(&path, [28, 28, 1]).unwrap_err().to_string();
    assert!(said.starts_with(&format!("{}: shows nothing", path.display())), "{said}");
    assert!(matches!(prepare(&path, [28, 28, 2]), Err(Error::Usage(_))));
}

/// The start of a PNG file of this size: signature, header, and an empty data chunk.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let chunk = |name: &[u8], data: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(name);
        crc.update(data);
        [&(data.len() as u32).to_be_bytes(), name, data, &crc.sum().to_be_bytes()].concat()
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header), &chunk(b"IDAT", b"")].concat()
}

#[test]
fn a_contact_sheet_is_saved() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("sheet.png");
    let set = set("train", [28, 28, 1], &[0, 1, 12, 255], 256);
    let drawn = sheet::contact_sheet(&set, &[3, 1, 0], 2).unwrap();
    sheet::save(&drawn, &path).unwrap();
    assert_eq!(image::open(&path).unwrap().to_rgb8(), drawn);
}
