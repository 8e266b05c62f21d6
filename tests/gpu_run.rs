//! `scripts/gpu-run` with this build on the CPU, and with a program in the shell that fails, hangs and is interrupted.
#![cfg(all(unix, feature = "cli"))]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/gpu-run");
const PROGRAM: &str = env!("CARGO_BIN_EXE_shadegrad");

/// Status, standard output, and standard error.
fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new("python3").arg(SCRIPT).args(args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Whether there is a Python; without one nothing is checked.
fn has_python() -> bool {
    let is_there = Command::new("python3").arg("--version").output().is_ok();
    if !is_there {
        eprintln!("skipped: there is no python3");
    }
    is_there
}

/// The only folder in a folder.
fn only_folder(out: &Path) -> PathBuf {
    let mut folders = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    let found = folders.next().expect("a folder of the run");
    assert_eq!(folders.next(), None);
    found
}

/// What is recorded, as lines of `step job state`.
fn journal(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("jobs.jsonl")).unwrap();
    let word = |record: &serde_json::Value, key: &str| record[key].as_str().unwrap_or("-").to_string();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|record| [word(&record, "step"), word(&record, "job"), word(&record, "state")].join(" "))
        .collect()
}

/// A program that answers as shadegrad does, and does `inject` in its own way.
fn program(folder: &Path, inject: &str) -> String {
    let path = folder.join("program");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in\n--version) echo 'shadegrad 0';;\nplan*) echo '{{\"device\": \"A GPU (1)\"}}';;\n\
         *--inject*) {inject};;\n*) echo fine;;\nesac\n"
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_string()
}

#[test]
fn steps_are_listed_in_order_of_worth() {
    if !has_python() {
        return;
    }
    let (status, stdout, _) = run(&["--list"]);
    let names: Vec<&str> = stdout.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(status, Some(0));
    assert_eq!(names[..3], ["devices", "verify", "inject"]);
    assert_eq!(names.last(), Some(&"study"));
    let (_, stdout, _) = run(&["--list", "--only", "verify,study", "--skip", "study"]);
    assert_eq!(stdout.lines().count(), 2, "{stdout}");
}

#[test]
fn wrong_arguments_are_one_error() {
    if !has_python() {
        return;
    }
    let says = |args: &[&str], text: &str| {
        let (status, stdout, stderr) = run(args);
        assert_eq!((status, stdout.as_str(), stderr.lines().count()), (Some(1), "", 1), "{stderr}");
        assert!(stderr.starts_with("gpu-run: error: ") && stderr.contains(text), "{stderr}");
    };
    says(&["--only", "nothing"], "there is no step `nothing`: expected devices");
    says(&["--only", "study", "--skip", "study"], "no step is left");
    says(&["--minutes", "0"], "--minutes: expected");
    says(&["--minutes", "nan"], "--minutes: expected");
    says(&["--binary", "/missing"], "there is no /missing");
    says(&["--binary", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")], "does not start");
    says(&["--data", "."], "--data belongs to --prepare");
    says(&["--colour"], "--colour");
    says(&["--binary", PROGRAM, "--device", "none of these"], "no device `none of these`");
}

#[test]
fn a_prepared_folder_measures_and_does_nothing_twice() {
    if !has_python() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("prepared");
    let (status, _, stderr) = run(&["--prepare", folder.to_str().unwrap(), "--binary", PROGRAM]);
    assert_eq!(status, Some(0), "{stderr}");
    let measure = || {
        let mut command = Command::new("python3");
        command.arg(folder.join("gpu-run")).args(["--quick", "--minutes", "2", "--only", "devices", "--device", "cpu"]);
        command.output().unwrap()
    };
    let output = measure();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = only_folder(&folder.join("runs"));
    let name = found.file_name().unwrap().to_str().unwrap();
    assert!(name.ends_with("-cpu"), "{name}");
    let first = journal(&found);
    assert!(first.contains(&"devices doctor done".to_string()), "{first:?}");
    let summary = fs::read_to_string(found.join("README.md")).unwrap();
    assert!(summary.contains("| device | CPU, "), "{summary}");
    assert!(summary.contains("Everything ran, and nothing failed."), "{summary}");

    assert!(measure().status.success());
    assert_eq!(journal(&only_folder(&folder.join("runs"))), first);
}

#[test]
fn what_fails_is_recorded_and_the_next_step_begins() {
    if !has_python() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let binary = program(place.path(), "echo 'error: no luck' >&2; exit 3");
    let out = place.path().join("out");
    let args = ["--binary", &binary, "--out", out.to_str().unwrap(), "--minutes", "2", "--only", "inject,memory"];
    let (status, stdout, stderr) = run(&args);
    assert_eq!(status, Some(1), "{stdout}{stderr}");
    assert!(stderr.contains("failed or timed out: inject/inject"), "{stderr}");
    let found = only_folder(&out);
    let states = journal(&found);
    assert_eq!(states[0], "inject inject failed");
    assert!(states.len() > 1 && states[1..].iter().all(|line| line.ends_with(" done")), "{states:?}");
    let summary = fs::read_to_string(found.join("README.md")).unwrap();
    assert!(summary.contains("| inject | inject | failed | error: no luck |"), "{summary}");

    // It runs once more only if it is told to.
    assert_eq!((run(&args).0, journal(&found)), (Some(1), states.clone()));
    assert_eq!(run(&[&args[..], &["--again"]].concat()).0, Some(1));
    assert_eq!(journal(&found), [&states[..], &["inject inject failed".to_string()]].concat());
    // Another build has a folder of its own.
    program(place.path(), "echo all 25 faults were detected");
    assert_eq!((run(&args).0, fs::read_dir(&out).unwrap().count()), (Some(0), 2));
}

#[test]
fn an_interruption_ends_with_a_summary_and_is_made_up_for() {
    if !has_python() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let started = place.path().join("started");
    let binary = program(place.path(), &format!("test -e {0} || {{ : >{0}; exec sleep 60; }}", started.display()));
    let args = ["--binary", &binary, "--out", out.to_str().unwrap(), "--minutes", "2", "--only", "inject"];
    let clock = Instant::now();
    let mut child = Command::new("python3").arg(SCRIPT).args(args).spawn().unwrap();
    while !started.exists() && clock.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(clock.elapsed() < Duration::from_secs(50), "{:?}", clock.elapsed());
    let found = only_folder(&out);
    assert_eq!(journal(&found), ["inject inject interrupted"]);
    let summary = fs::read_to_string(found.join("README.md")).unwrap();
    assert!(summary.contains("interrupted (SIGINT)"), "{summary}");

    let (status, _, stderr) = run(&args);
    assert_eq!(status, Some(0), "{stderr}");
    assert_eq!(journal(&found), ["inject inject interrupted", "inject inject done"]);
    let summary = fs::read_to_string(found.join("README.md")).unwrap();
    assert!(summary.contains("Everything ran, and nothing failed."), "{summary}");
}

#[test]
fn the_time_of_a_run_is_kept() {
    if !has_python() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    // It does not listen to Ctrl-C.
    let binary = program(place.path(), "trap '' INT; for i in 1 2 3 4 5 6 7 8 9; do sleep 10; done");
    let args = ["--binary", &binary, "--out", out.to_str().unwrap(), "--minutes", "0.35", "--only", "inject,study"];
    let clock = Instant::now();
    let (status, stdout, stderr) = run(&args);
    let elapsed = clock.elapsed().as_secs_f32();
    assert_eq!(status, Some(0), "{stdout}{stderr}");
    assert!(elapsed < 0.35 * 60.0, "{elapsed} s");
    assert_eq!(journal(&only_folder(&out)), ["inject inject cut off"]);
}
