//! Everything that can go wrong, said once and in full.
//!
//! A message names the thing that failed, what was expected and what was found; where there is a remedy, it ends with
//! it. The binary prints the message after `error: ` and exits with 1 (bad options exit with 2, as clap does).

mod option;

pub use option::OptionError;
pub(crate) use option::check;

use crate::text::one_line;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The result of anything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, on which thing, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something with a file or folder.
    #[error("cannot {action} {}: {source}", shown(path))]
    Io {
        /// What was being done: "read", "create", …
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file is not what it should be: truncated, of another format, inconsistent.
    #[error("{}: {problem}", shown(path))]
    File {
        /// The file that is wrong.
        path: PathBuf,
        /// What is wrong with it, with expected and got.
        problem: String,
    },
    /// A checkpoint that a run cannot go on from; names one that it can, if there is one.
    #[error("{0}")]
    Checkpoint(String),
    /// A run that ended before its time; says how it can go on.
    #[error("{0}")]
    Run(String),
    /// A network that cannot be built; names the layer, and says expected and got.
    #[error("{0}")]
    Network(String),
    /// An option or argument outside its range; names it.
    #[error("{0}")]
    Usage(String),
    /// A training option outside its range, or that does not go with another; names the field.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A shader that does not parse or validate; the message is a rendered source excerpt with a caret.
    #[error("shader error\n{0}")]
    Shader(String),
    /// The device refused or failed; names the kernel or buffer.
    #[error("{0}")]
    Device(String),
    /// The device went away, ran out of memory or did not answer; opened anew, it may work again.
    #[error("{0}")]
    DeviceLost(String),
    /// The host has not enough memory; says what it was for and how many bytes that needs.
    #[error("{0}")]
    Memory(String),
    /// Training ran into a loss that is not finite.
    #[error("{0}")]
    NotFinite(String),
    /// A download failed on every mirror, or what arrived was not what was asked for.
    #[error("{0}")]
    Download(String),
    /// Stopped by the user (Ctrl-C); what there was has been saved.
    #[error("interrupted")]
    Interrupted,
}

/// A path in a line of a message.
fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy()).into_owned()
}

/// Checks a value: where it is not `fine`, the message is `{what}, got {got}`.
///
/// # Errors
///
/// The message, for the caller to say of which thing it is.
pub fn expect(fine: bool, what: &str, got: &dyn Display) -> Result<(), String> {
    if fine { Ok(()) } else { Err(format!("{what}, got {got}")) }
}

impl Error {
    /// For `map_err`: `File::open(&path).map_err(Error::io("open", &path))`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// A file whose content is wrong.
    pub fn file(path: impl AsRef<Path>, problem: impl Into<String>) -> Error {
        Error::File { path: path.as_ref().to_path_buf(), problem: problem.into() }
    }
}
