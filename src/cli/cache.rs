//! The folder that keeps what the program has found out about this machine.

use std::path::PathBuf;

/// The user's cache folder: `$SHADEGRAD_CACHE`, or `shadegrad` in the system's cache folder. `None` if the system has
/// no such folder; nothing is kept then.
pub fn folder() -> Option<PathBuf> {
    match std::env::var_os("SHADEGRAD_CACHE") {
        Some(folder) if !folder.is_empty() => Some(folder.into()),
        _ => dirs::cache_dir().map(|folder| folder.join("shadegrad")),
    }
}
