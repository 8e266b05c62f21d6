//! The errors of this crate, each with a complete message.
//!
//! A message names what failed, with expected and actual values, and ends with a remedy if there is one. The binary
//! prints the message after `error: ` and exits with status 1 (or 2 for invalid options, as clap does).

mod option;

pub use option::OptionError;
pub(crate) use option::check;

use crate::text::one_line;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The result of any fallible function in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system reported an error for a file or folder.
    #[error("cannot {action} {}: {source}", shown(path))]
    Io {
        /// The action that failed: "read", "create", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The content of a file is wrong: truncated, in another format, or inconsistent.
    #[error("{}: {problem}", shown(path))]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with expected and actual values.
        problem: String,
    },
    /// A checkpoint that a run cannot be resumed from; names one that it can, if there is one.
    #[error("{0}")]
    Checkpoint(String),
    /// A run that ended early; says how to resume it.
    #[error("{0}")]
    Run(String),
    /// A network that cannot be built; names the layer, with expected and actual values.
    #[error("{0}")]
    Network(String),
    /// An option or argument that is out of range; names it.
    #[error("{0}")]
    Usage(String),
    /// A training option that is out of range or conflicts with another; names the field.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A shader that cannot be parsed or validated; the message is an excerpt of the source with a caret.
    #[error("shader error\n{0}")]
    Shader(String),
    /// The device reported an error; names the kernel or buffer.
    #[error("{0}")]
    Device(String),
    /// The device was lost, ran out of memory or did not respond; it may work again after it is reopened.
    #[error("{0}")]
    DeviceLost(String),
    /// Not enough host memory; says for what, and how many bytes are needed.
    #[error("{0}")]
    Memory(String),
    /// A loss or another value was not finite.
    #[error("{0}")]
    NotFinite(String),
    /// An error that every rank knows of, so that rank 0 prints it for all. Names the rank that it comes from, unless that
    /// is rank 0 or it comes from all.
    #[error("{0}")]
    Ranks(Box<Error>),
    /// A download failed on every mirror, or the file received was not the expected one.
    #[error("{0}")]
    Download(String),
    /// Interrupted by the user (Ctrl-C) after saving the results so far.
    #[error("interrupted")]
    Interrupted,
}

/// A path within one line of a message.
fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy()).into_owned()
}

/// Checks a value: unless `fine`, the message is `{what}, got {got}`.
///
/// # Errors
///
/// The message, without the name of the value, which the caller adds.
pub fn expect(fine: bool, what: &str, got: &dyn Display) -> Result<(), String> {
    if fine { Ok(()) } else { Err(format!("{what}, got {got}")) }
}

impl Error {
    /// An error that every rank knows of.
    pub(crate) fn of_all_ranks(problem: impl Into<String>) -> Error {
        Error::Ranks(Box::new(Error::Run(problem.into())))
    }

    /// For `map_err`: `File::open(&path).map_err(Error::io("open", &path))`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// The error for a file with wrong content.
    pub fn file(path: impl AsRef<Path>, problem: impl Into<String>) -> Error {
        Error::File { path: path.as_ref().to_path_buf(), problem: problem.into() }
    }
}
