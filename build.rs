//! Passes the commit that is built to the program, for `shadegrad --version`. Outside of a repository there is none.

use std::process::Command;

fn main() {
    // Whatever changes the program: a commit of anything else does not make it worth building anew.
    for path in ["build.rs", "src", "shaders", "assets/networks", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok().map(|text| text.trim().to_string()).filter(|text| !text.is_empty())
    };
    // A package may lie in the repository of something else.
    if git(&["ls-files", "--error-unmatch", "build.rs"]).is_none() {
        return;
    }
    if let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) {
        let is_changed =
            git(&["status", "--porcelain", "--", "src", "shaders", "assets/networks", "Cargo.lock"]).is_some();
        println!("cargo::rustc-env=SHADEGRAD_COMMIT={commit}{}", if is_changed { ", changed" } else { "" });
    }
}
