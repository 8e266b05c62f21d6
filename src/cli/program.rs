//! The versions of the program, and how it was called.

use shadegrad::text::shell_word;
use shadegrad::version;
use std::path::Path;
use std::sync::LazyLock;

/// The commit that the program was built from, if it was built in a repository.
pub const COMMIT: Option<&str> = option_env!("SHADEGRAD_COMMIT");

/// Graphics APIs that the program was built for, in order of preference.
pub const BACKENDS: &str = if cfg!(target_os = "windows") {
    "vulkan, dx12"
} else if cfg!(target_os = "macos") {
    "metal"
} else {
    "vulkan"
};

/// What `--version` prints after the name.
pub static LONG_VERSION: LazyLock<String> = LazyLock::new(|| {
    let commit = COMMIT.unwrap_or("unknown commit");
    format!(
        "{} ({commit})\nwgpu {}, naga {}\nbackends: {BACKENDS}, cpu, reference",
        env!("CARGO_PKG_VERSION"),
        version::wgpu(),
        version::naga()
    )
});

/// The program as it was called, for commands that users can repeat.
pub fn name() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let called = Path::new(&called);
    // Set by cargo for programs that it runs.
    if std::env::var_os("CARGO").is_some() && called.components().any(|part| part.as_os_str() == "target") {
        let release = called.components().any(|part| part.as_os_str() == "release");
        return format!("cargo run{} --", if release { " --release" } else { "" });
    }
    shell_word(&called.to_string_lossy())
}
