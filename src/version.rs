//! Versions of dependencies, from `Cargo.lock`.
//!
//! The file is read at compile time, so versions follow every update. They are those used by `cargo build` and `cargo
//! install --locked`; without `--locked`, `cargo install` may use newer compatible versions.

const LOCK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"));

/// The version of wgpu, for example `30.0.1`.
pub fn wgpu() -> &'static str {
    locked("wgpu").unwrap_or("unknown")
}

/// The version of naga, which compiles the shaders.
pub fn naga() -> &'static str {
    locked("naga").unwrap_or("unknown")
}

/// The version in the line below a package's name.
fn locked(package: &str) -> Option<&'static str> {
    let mut lines = LOCK.lines();
    lines.find(|line| line.strip_prefix("name = ").is_some_and(|name| name.trim_matches('"') == package))?;
    lines.next()?.strip_prefix("version = ").map(|version| version.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock: toml::Table = LOCK.parse().unwrap();
        let version_of = |name: &str| {
            let packages = lock["package"].as_array().unwrap();
            packages.iter().find(|package| package["name"].as_str() == Some(name)).unwrap()["version"].as_str().unwrap()
        };
        for (found, name) in [(wgpu(), "wgpu"), (naga(), "naga")] {
            assert_eq!(found, version_of(name), "{name}");
            let numbers: Vec<u32> = found.split('.').map(|number| number.parse().unwrap()).collect();
            assert_eq!(numbers.len(), 3, "{name} {found}");
        }
        assert_eq!(locked("nosuch"), None);
    }
}
