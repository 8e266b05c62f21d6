//! A folder in which the program is run like a user would.
#![allow(dead_code, reason = "each test that includes it uses a part")]

#[path = "program.rs"]
mod program;

use serde_json::Value;
use shadegrad::data::{builtin, idx};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub const TRAIN_IMAGES: usize = 300;
pub const TEST_IMAGES: usize = 60;

pub const MODEL: &str = "name = 'tiny'\ninput = [28, 28, 1]\n[[layers]]\ntype = 'conv2d'\nfilters = 4\nkernel = 5\n\
                     stride = 2\nactivation = 'relu'\n[[layers]]\ntype = 'max_pool2d'\nsize = 2\n\
                     [[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 10\n";

/// A working folder with a small data set in `data/` and a network in `tiny.toml`, and a second folder for the caches.
pub struct Place(tempfile::TempDir, tempfile::TempDir);

impl Place {
    pub fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(place.path("data")).unwrap();
        let write = |name: &str, count: usize, seed: u64| {
            let (images, labels) = builtin::digits(count, seed);
            idx::write_images(&place.path(&format!("data/{name}-images-idx3-ubyte")), &images, [28, 28, 1]).unwrap();
            idx::write_labels(&place.path(&format!("data/{name}-labels-idx1-ubyte")), &labels).unwrap();
        };
        write("train", TRAIN_IMAGES, 1);
        write("t10k", TEST_IMAGES, 2);
        fs::write(place.path("tiny.toml"), MODEL).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The folder of the caches.
    pub fn cache(&self) -> &Path {
        self.1.path()
    }

    pub fn command(&self, args: &str) -> Command {
        let mut command = program::program();
        command
            .args(args.split_whitespace())
            .current_dir(self.0.path())
            .env_remove("SHADEGRAD_DATA")
            // Programs that cargo runs call themselves by it.
            .env_remove("CARGO")
            .env_remove("RUST_LOG")
            .env("SHADEGRAD_CACHE", self.1.path())
            .env("SHADEGRAD_TUNE", "off");
        let takes_device = ["train", "evaluate", "predict"].contains(&args.split(' ').next().unwrap_or_default());
        if let Ok(device) = std::env::var("SHADEGRAD_TEST_DEVICE")
            && takes_device
            && !args.contains("--device")
        {
            command.args(["--device", &device]);
        }
        command
    }

    pub fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    /// Standard output of a successful command.
    pub fn stdout(&self, args: &str) -> String {
        let Output { status, stdout, stderr } = self.run(args);
        assert!(status.success(), "{args}: {status}\n{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    /// Trains for two steps into the run folder `run`.
    pub fn trained() -> Place {
        let place = Place::new();
        let args = "train --model tiny.toml --data data --max-steps 2 --epochs 1 --out run --quiet";
        assert_eq!(place.stdout(args), "");
        place
    }

    /// All files in the folder, with their contents.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.0.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    files.insert(path.clone(), Vec::new());
                    folders.push(path);
                } else {
                    files.insert(path.clone(), fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    /// The command must fail with this status and one error that contains all of `says`, without changing any file.
    pub fn refuses(&self, status: i32, args: &str, says: &[&str]) {
        let before = self.files();
        let output = self.run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{args}: {stderr}");
        assert_eq!(stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{args}: {stderr}");
        for text in says {
            assert!(stderr.contains(text), "{args}: expected `{text}` in {stderr}");
        }
        for slip in ["panicked", "RUST_BACKTRACE", "Os {", "Error(", "Some("] {
            assert!(!stderr.contains(slip), "{args}: {stderr}");
        }
        assert!(output.stdout.is_empty(), "{args}: printed {}", String::from_utf8_lossy(&output.stdout));
        let after = self.files();
        let changed: Vec<_> = after.iter().filter(|(path, content)| before.get(*path) != Some(content)).collect();
        assert!(changed.is_empty(), "{args}: wrote {:?}", changed.iter().map(|(path, _)| path).collect::<Vec<_>>());
        assert_eq!(before.len(), after.len(), "{args}: removed something");
    }
}

pub fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

pub fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no number `{key}` in {value}"))
}
