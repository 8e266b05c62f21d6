//! Validates kernels with Tint, the WGSL compiler of Chromium.
//!
//! Distributions do not package Tint as a program, so a headless browser is used: it loads a page from this process,
//! compiles the kernels that the page fetches, and posts the errors.

use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Names of the browser in distributions.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Far longer than all kernels take.
const LIMIT: Duration = Duration::from_secs(180);

/// Largest request that is answered, in bytes.
const LARGEST_REQUEST: u64 = 64 << 20;

const PAGE: &str = include_str!("tint.html");

/// A kernel to validate.
#[derive(Serialize)]
pub struct Kernel {
    /// Its complete text.
    pub code: String,
    /// Whether to create a pipeline too, which takes time in the driver.
    pub pipeline: bool,
}

/// The first error of Tint for each kernel, if any. `None` if there is no Chromium.
///
/// The error says why an installed Chromium gave no answer.
pub fn problems(kernels: &[Kernel]) -> Result<Option<Vec<Option<String>>>, String> {
    let said = |error: io::Error| format!("no server on the loopback address: {error}");
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(said)?;
    let address = listener.local_addr().map_err(said)?;
    let (sender, posted) = mpsc::channel();
    let text: Arc<str> = serde_json::to_string(kernels).map_err(|error| error.to_string())?.into();
    // Ends with the process.
    thread::spawn(move || serve(&listener, &text, &sender));

    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let log = folder.path().join("log");
    let Some(mut browser) = Browser::start(&format!("http://{address}/"), folder.path(), &log)? else {
        return Ok(None);
    };
    let answer = browser.wait(&posted).map_err(|problem| {
        let log = fs::read(&log).unwrap_or_default();
        format!("{problem}; Chromium wrote:\n{}", String::from_utf8_lossy(&log))
    })?;
    let problems: Vec<Option<String>> =
        serde_json::from_str(&answer).map_err(|_| format!("Chromium could not try the kernels: {answer}"))?;
    if problems.len() != kernels.len() {
        return Err(format!("Chromium judged {} of {} kernels", problems.len(), kernels.len()));
    }
    Ok(Some(problems))
}

/// A browser whose processes end when this value is dropped.
struct Browser(Child);

impl Browser {
    /// `None` if there is none on this machine.
    fn start(url: &str, folder: &Path, log: &Path) -> Result<Option<Browser>, String> {
        for name in NAMES {
            let log = File::create(log).map_err(|error| error.to_string())?;
            // `timeout` puts the browser into a process group of its own, and ends it even if this process is killed.
            let mut command = Command::new("timeout");
            command.args(["--kill-after=5", &LIMIT.as_secs().to_string(), name]);
            command.args(["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-quic"]);
            command.args(["--no-first-run", "--disable-background-networking", "--disable-component-update"]);
            command.args(["--disable-sync", "--disable-breakpad", "--enable-unsafe-webgpu"]);
            command.args(["--use-webgpu-adapter=swiftshader", url]);
            command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
            // The browser brings its own driver.
            command.env_remove("VK_ICD_FILENAMES").env_remove("VK_DRIVER_FILES");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            match Command::new(name).arg("--version").output() {
                Ok(version) if version.status.success() => {}
                Ok(version) => return Err(format!("{name}: {}", String::from_utf8_lossy(&version.stderr))),
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(format!("{name}: {error}")),
            }
            let child = command.spawn().map_err(|error| format!("timeout {name}: {error}"))?;
            return Ok(Some(Browser(child)));
        }
        Ok(None)
    }

    /// Waits for the result that the page posts.
    fn wait(&mut self, posted: &Receiver<String>) -> Result<String, String> {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            match posted.recv_timeout(Duration::from_millis(100)) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Err("the server of the page has ended".into()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Ok(Some(status)) = self.0.try_wait() {
                return Err(format!("Chromium ended before it had answered: {status}"));
            }
        }
        Err(format!("no answer from Chromium within {} seconds", LIMIT.as_secs()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The whole group, whose id is that of its first process. That process has not been waited for, so its id is
        // still valid.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).output();
        let _ = self.0.wait();
    }
}

/// Answers every request in its own thread, because a browser opens connections in advance.
fn serve(listener: &TcpListener, kernels: &Arc<str>, posted: &Sender<String>) {
    for stream in listener.incoming().flatten() {
        let (kernels, posted) = (kernels.clone(), posted.clone());
        // If a connection breaks, the browser opens it again.
        thread::spawn(move || answer(&stream, &kernels, &posted));
    }
}

fn answer(mut stream: &TcpStream, kernels: &str, posted: &Sender<String>) -> io::Result<()> {
    let mut request = BufReader::new(stream.take(LARGEST_REQUEST));
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        request.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_ascii_lowercase()),
        }
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    let first = head.first().map_or("", String::as_str);
    let (status, kind, body) = match first.split(' ').take(2).collect::<Vec<_>>()[..] {
        ["get", "/"] => ("200 OK", "text/html", PAGE),
        ["get", "/kernels"] => ("200 OK", "application/json", kernels),
        ["post", "/problems"] => {
            let mut body = vec![0; length];
            request.read_exact(&mut body)?;
            // If there is already an answer, nobody is waiting any more.
            let _ = posted.send(String::from_utf8_lossy(&body).into_owned());
            ("200 OK", "text/plain", "")
        }
        _ => ("404 Not Found", "text/plain", ""),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {length}\r\n")?;
    write!(stream, "Connection: close\r\n\r\n{body}")
}
