//! What `cargo package` puts into the crate: everything that the program embeds, and little else.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Bytes of the whole package, unpacked. Sources and shaders are nine tenths of it and grow with the program; the next limit
/// is the one that notices files that do not belong in it.
const MAX_BYTES: u64 = 2_750_000;

/// Bytes of it beside `src` and `shaders`.
const MAX_BYTES_BESIDE_SOURCES: u64 = 250_000;

/// Folders that no package may contain.
const LEFT_OUT: [&str; 7] = ["assets/study/", "benches/peers/", "benches/runs/", "docs/", "fuzz/", "shared/", "tests/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Standard output of cargo, which asks no network. `None` if there is no cargo on this machine.
fn cargo(args: &[&str]) -> Option<String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let Output { status, stdout, stderr } = match Command::new(program).args(args).current_dir(root()).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: there is no cargo");
            return None;
        }
        result => result.unwrap(),
    };
    assert!(status.success(), "cargo {}: {}", args.join(" "), String::from_utf8_lossy(&stderr));
    Some(String::from_utf8(stdout).unwrap())
}

/// Files of the package, with `/` between folders.
fn package() -> Option<BTreeSet<String>> {
    let list = cargo(&["package", "--list", "--allow-dirty", "--offline"])?;
    Some(list.lines().map(|line| line.replace('\\', "/")).collect())
}

/// Files below a folder or with a common beginning of their paths, relative to the root.
fn files(start: &str) -> Vec<String> {
    let folder = root().join(&start[..=start.rfind('/').unwrap()]);
    let mut found = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    found.retain(|file| file.starts_with(start));
    found.sort();
    found
}

/// String literals in the text of a macro's arguments.
fn literals(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

/// What a source file embeds: a path, or the beginning of paths if a parameter of a macro is a part of it.
fn embedded(source: &Path) -> Vec<String> {
    let text = fs::read_to_string(source).unwrap();
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut found = Vec::new();
    for start in ["include_str!(", "include_bytes!("] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            let mut depth = 1;
            let end = rest.find(|letter| {
                depth += i32::from(letter == '(') - i32::from(letter == ')');
                depth == 0
            });
            let arguments = &rest[..end.unwrap()];
            let path = match arguments.split_once("env!(\"CARGO_MANIFEST_DIR\")") {
                Some((_, path)) => literals(path.split('$').next().unwrap()).concat()[1..].to_string(),
                None => relative(source, literals(arguments)[0]),
            };
            found.push(path);
        }
    }
    found
}

/// A path as seen from a source file, as seen from the root.
fn relative(source: &Path, path: &str) -> String {
    let mut whole: PathBuf = source.parent().unwrap().strip_prefix(root()).unwrap().into();
    for part in path.split('/') {
        if part == ".." {
            assert!(whole.pop(), "{path} in {} leaves the package", source.display());
        } else {
            whole.push(part);
        }
    }
    whole.to_str().unwrap().replace('\\', "/")
}

#[test]
fn package_holds_what_is_embedded_in_the_program() {
    let Some(package) = package() else { return };
    let mut count = 0;
    for source in files("src/").iter().filter(|file| file.ends_with(".rs")) {
        for path in embedded(&root().join(source)) {
            let needed = if root().join(&path).is_file() { vec![path.clone()] } else { files(&path) };
            assert!(!needed.is_empty(), "{source} embeds {path}, which is not there");
            for file in &needed {
                assert!(package.contains(file), "{source} embeds {file}: add it to `include` in Cargo.toml");
            }
            count += needed.len();
        }
    }
    // Shaders, presets, the lock file and a list of faults, at least.
    assert!(count > 100, "only {count} embedded files found");
    for file in ["Cargo.toml", "Cargo.lock", "README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(package.contains(file), "{file} is not in the package");
    }
}

#[test]
fn package_is_small() {
    let Some(package) = package() else { return };
    let (mut all, mut beside_sources) = (0, 0);
    for file in &package {
        assert!(LEFT_OUT.iter().all(|folder| !file.starts_with(folder)), "{file} is in the package");
        // What cargo generates is not there, and small.
        let bytes = fs::metadata(root().join(file)).map_or(0, |data| data.len());
        all += bytes;
        if !file.starts_with("src/") && !file.starts_with("shaders/") {
            beside_sources += bytes;
        }
    }
    println!("{} files, {all} bytes, of which {beside_sources} beside sources and shaders", package.len());
    assert!(all < MAX_BYTES, "{all} bytes in the package");
    assert!(beside_sources < MAX_BYTES_BESIDE_SOURCES, "{beside_sources} bytes beside sources and shaders");
}

/// A version of Rust as numbers, so that `1.9` is less than `1.88.0`.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(|number| number.parse().unwrap()).collect()
}

#[test]
fn no_dependency_needs_a_newer_rust() {
    // What is built here has been downloaded; crates of other systems may not be.
    let Ok(rustc) = Command::new("rustc").arg("-vV").output() else { return };
    let about = String::from_utf8(rustc.stdout).unwrap();
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let args = ["metadata", "--format-version", "1", "--offline", "--filter-platform", host];
    let Some(metadata) = cargo(&args) else { return };
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = packages.iter().find(|package| package["name"] == env!("CARGO_PKG_NAME")).unwrap();
    let promised = ours["rust_version"].as_str().unwrap();
    assert!(packages.len() > 50, "{} packages", packages.len());
    for package in packages {
        let Some(needed) = package["rust_version"].as_str() else { continue };
        let newer = numbers(needed) > numbers(promised);
        assert!(
            !newer,
            "{} {} needs Rust {needed}, Cargo.toml promises {promised}",
            package["name"], package["version"]
        );
    }
}
