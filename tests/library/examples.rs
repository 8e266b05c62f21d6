//! Runs the examples as a user would.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The folder where cargo puts them for the profile of this test; they are built if necessary.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--examples"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the examples do not build");
        let test = std::env::current_exe().unwrap();
        test.parent().unwrap().parent().unwrap().join("examples")
    })
}

/// Standard output of an example, which must not depend on whether there is a desktop.
fn printed(example: &str) -> String {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{example}.rs"));
    let lines = std::fs::read_to_string(source).unwrap().lines().count();
    assert!(lines < 60, "{example}.rs has {lines} lines");
    let output = Command::new(folder().join(example)).env_remove("XDG_RUNTIME_DIR").output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{example}: {}\n{stderr}", output.status);
    assert!(!stderr.contains("XDG_RUNTIME_DIR"), "{example}: {stderr}");
    stdout
}

#[test]
fn train_arrays() {
    let printed = printed("train_arrays");
    let last = printed.lines().rfind(|line| line.starts_with("epoch 4: ")).unwrap_or_else(|| panic!("{printed}"));
    let accuracy: f64 = last.split(' ').nth(2).unwrap().parse().unwrap();
    assert!(accuracy > 90.0, "{printed}");
}

#[test]
fn predict_batch() {
    let printed = printed("predict_batch");
    assert!(printed.contains(" of 300 digits classified correctly by fast"), "{printed}");
    assert_eq!(printed.lines().count(), 4, "{printed}");
}

#[test]
fn own_shader() {
    let printed = printed("own_shader");
    let verdicts: Vec<&str> = printed.lines().collect();
    assert!(verdicts[0].starts_with("conv2d.wgsl, edge cases and random shapes: right, "), "{printed}");
    assert!(verdicts[1].contains("stride=2: right, "), "{printed}");
    assert!(verdicts[2].contains("conv2d_wrong_stride.wgsl, edge cases and random shapes: wrong in "), "{printed}");
    assert!(verdicts[2].contains(" y["), "{printed}");
}

#[test]
fn one_op() {
    let printed = printed("one_op");
    let error = printed.split_once("the largest error is ").unwrap_or_else(|| panic!("{printed}")).1;
    assert!(error.trim().parse::<f64>().unwrap() < 1e-5, "{printed}");
}

#[test]
fn train_preset() {
    let printed = printed("train_preset");
    let losses: Vec<f64> = printed.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(losses.len(), 20, "{printed}");
    assert!(losses[15..].iter().sum::<f64>() < losses[..5].iter().sum(), "{printed}");
}
