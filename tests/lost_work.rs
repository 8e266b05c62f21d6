//! The results of a run are not lost when a session ends, at system limits, on file systems without locks, through
//! damage, or when folders disappear.
#![cfg(feature = "cli")]
#![cfg(unix)]

#[path = "common/place.rs"]
mod place;

use place::{Place, lines};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const TRAIN: &str = "train --model tiny.toml --data data --device cpu";

/// The program started from a shell that first runs the script `before`.
fn under_shell(place: &Place, before: &str, args: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{before}; exec {} {args}", env!("CARGO_BIN_EXE_shadegrad"))])
        .current_dir(place.path(""))
        .env_remove("SHADEGRAD_DATA")
        .env("SHADEGRAD_CACHE", place.cache())
        .env("SHADEGRAD_TUNE", "off");
    shell
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Waits until a run has reported steps.
fn wait_for_steps(place: &Place, run: &str, child: &mut Child) {
    let start = Instant::now();
    while fs::metadata(place.path(run).join("metrics.jsonl")).map_or(0, |file| file.len()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended without a signal");
        assert!(start.elapsed() < Duration::from_secs(120), "no step in two minutes");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap().success());
}

/// As `nohup` does for SIGHUP, and a shell for SIGINT of background programs.
#[test]
fn a_signal_that_is_ignored_at_the_start_stays_ignored() {
    let place = Place::new();
    let train = format!("{TRAIN} --epochs 40 --batch-size 1 --log-every 1 --quiet");
    for (run, ignored) in [("all", "HUP INT TERM"), ("hup", "HUP")] {
        let mut shell = under_shell(&place, &format!("trap '' {ignored}"), &format!("{train} --out {run}"));
        let mut child = shell.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for_steps(&place, run, &mut child);
        ignored.split(' ').for_each(|signal| send(signal, &child));
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{ignored}: {}", stderr(&output));
    }
    // Other signals end the run and save everything it has done.
    for signal in ["TERM", "INT"] {
        let args = format!("{train} --epochs 100000 --out {signal}").replacen("--epochs 40 ", "", 1);
        let mut child = under_shell(&place, "trap '' HUP", &args).stderr(Stdio::piped()).spawn().unwrap();
        wait_for_steps(&place, signal, &mut child);
        send(signal, &child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
        assert!(stderr(&output).contains("interrupted; the weights are saved"), "{}", stderr(&output));
    }
}

/// A run that cannot write its first checkpoint leaves nothing behind.
#[test]
fn a_start_that_fails_leaves_no_folder() {
    let place = Place::new();
    // In units of 512 bytes: enough for `run.toml`, not for a checkpoint.
    let output = under_shell(&place, "ulimit -f 6", &format!("{TRAIN} --quiet --out run")).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot write run/") && stderr(&output).contains("large"), "{}", stderr(&output));
    assert!(!place.path("run").exists());
    // If the folder cannot be created, there is no run, and the file in its place is kept.
    fs::write(place.path("runs"), "mine").unwrap();
    place.refuses(1, TRAIN, &["cannot create runs"]);
}

/// A preloaded library whose `flock` fails with `code`.
#[cfg(target_os = "linux")]
fn without_locks(place: &Place, code: &str) -> std::path::PathBuf {
    let (source, library) = (place.path("flock.c"), place.path(&format!("flock-{code}.so")));
    let text = format!("#include <errno.h>\nint flock(int file, int how) {{ errno = {code}; return -1; }}\n");
    fs::write(&source, text).unwrap();
    let compiler = std::env::var("CC").unwrap_or("cc".into());
    let built = Command::new(compiler).args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().unwrap();
    assert!(built.success());
    library
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_system_without_locks_is_warned_of_once() {
    let place = Place::new();
    for code in ["ENOLCK", "ENOSYS", "EOPNOTSUPP"] {
        let library = without_locks(&place, code);
        let run = |args: &str| place.command(args).env("LD_PRELOAD", &library).output().unwrap();
        let output = run(&format!("{TRAIN} --epochs 1 --quiet --out {code}"));
        assert_eq!(output.status.code(), Some(0), "{code}: {}", stderr(&output));
        assert_eq!(stderr(&output).matches("warning: ").count(), 1, "{}", stderr(&output));
        assert!(stderr(&output).contains("has no locks"), "{}", stderr(&output));
        assert_eq!(run(&format!("train --resume {code} --epochs 2 --quiet")).status.code(), Some(0));
        let study = run(&format!("study --data data --device cpu --cases 4 --seeds 2 --epochs 1 --out study-{code}"));
        assert_eq!(study.status.code(), Some(0), "{}", stderr(&study));
        assert_eq!(stderr(&study).matches("has no locks").count(), 1, "{}", stderr(&study));
        assert_eq!(run(&format!("data export --data data --to exported-{code}")).status.code(), Some(0));
    }
    // Any other failure is an error, and leaves no folder.
    let library = without_locks(&place, "EIO");
    let output = place.command(&format!("{TRAIN} --out run")).env("LD_PRELOAD", &library).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot lock run/.lock"), "{}", stderr(&output));
    assert!(!place.path("run").exists());
}

/// Networks with 0.9 GiB of weights, and with fewer, where only the weights would fit.
const HUGE: [(&str, usize, usize); 2] = [("huge", 15_000, 15_000), ("many", 10_000, 5_000)];

/// Dense layers of two widths after an image.
fn dense(name: &str, first: usize, second: usize) -> String {
    let layer = |units: usize| format!("[[layers]]\ntype = 'dense'\nunits = {units}\n");
    let [first, second, last] = [first, second, 10].map(layer);
    format!("name = '{name}'\ninput = [28, 28, 1]\n[[layers]]\ntype = 'flatten'\n{first}{second}{last}")
}

/// `ulimit -v` counts in KiB.
#[cfg(target_os = "linux")]
#[test]
fn too_little_memory_is_a_clear_error() {
    let place = Place::new();
    for (name, first, second) in HUGE {
        fs::write(place.path(&format!("{name}.toml")), dense(name, first, second)).unwrap();
        for device in ["cpu:2", "reference"] {
            let args =
                format!("train --model {name}.toml --data data --device {device} --max-steps 1 --quiet --out run");
            let output = under_shell(&place, "ulimit -v 800000", &args).output().unwrap();
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{name} on {device}: {said}");
            assert!(said.contains("error: not enough memory: ") && said.contains(" bytes ("), "{said}");
            assert!(!place.path("run").exists());
        }
    }
}

/// Whatever the limit, and wherever the memory runs out, the result is a clear error or the weights.
#[cfg(target_os = "linux")]
#[test]
fn running_out_of_memory_anywhere_is_a_clear_error() {
    let place = Place::new();
    fs::write(place.path("wide.toml"), dense("wide", 2000, 2000)).unwrap();
    let mut endings = Vec::new();
    for mib in (160..=1280).step_by(80) {
        let args = format!(
            "train --model wide.toml --data data --device cpu:2 --batch-size 50 --max-steps 2 --quiet --out run{mib}"
        );
        let output = under_shell(&place, &format!("ulimit -v {}", mib << 10), &args).output().unwrap();
        let said = stderr(&output);
        let is_fine = match output.status.code() {
            Some(0) => true,
            Some(1) => said.contains("not enough memory: ") && said.contains(" bytes ("),
            _ => false,
        };
        assert!(is_fine, "{mib} MiB: {} {said}", output.status);
        endings.push(output.status.success());
    }
    assert_eq!((endings.first(), endings.last()), (Some(&false), Some(&true)), "{endings:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_study_survives_a_run_that_is_too_large() {
    let place = Place::new();
    fs::write(place.path("huge.toml"), dense("huge", 15_000, 15_000)).unwrap();
    let study = "study --models tiny.toml,huge.toml --data data --device cpu:2 --seeds 1 --epochs 1 --out st";
    let output = under_shell(&place, "ulimit -v 800000", study).output().unwrap();
    let (out, said) = (String::from_utf8_lossy(&output.stdout), stderr(&output));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(out.contains("huge seed 1  failed: not enough memory") && out.contains("tiny seed 1  1 epoch"), "{out}");
    assert!(said.contains("error: 1 of 2 runs failed: not enough memory: ") && said.contains(" bytes ("), "{said}");
    let html = fs::read_to_string(place.path("st/report.html")).unwrap();
    assert!(html.contains("not started, then failed: not enough memory"), "{html}");
}

#[test]
fn damaged_metrics_are_saved_separately() {
    let place = Place::new();
    let train = format!("{TRAIN} --batch-size 100 --epochs 3 --log-every 1 --quiet --out run");
    place.stdout(&train);
    let path = place.path("run/metrics.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    let resume = |epochs: usize| {
        let output = place.run(&format!("train --resume run --epochs {epochs} --quiet"));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stderr(&output)
    };
    // Two lines of steps are damaged: the rest is kept.
    let damaged = whole.replacen('{', "\0", 2);
    fs::write(&path, &damaged).unwrap();
    let said = resume(4);
    assert!(said.contains("warning: run/metrics.jsonl: line 1: not JSON"), "{said}");
    assert!(said.contains("kept as run/metrics.jsonl.damaged,"), "{said}");
    assert_eq!(fs::read_to_string(place.path("run/metrics.jsonl.damaged")).unwrap(), damaged);
    let kept = lines(&fs::read_to_string(&path).unwrap());
    assert_eq!(kept.len(), 4 * 4 - 2, "{kept:?}");
    // Everything is gone: an older copy is not overwritten.
    fs::write(&path, "").unwrap();
    let said = resume(5);
    assert!(
        said.contains("it tells of 0 epochs, and 4 are done") && said.contains("metrics.jsonl.damaged-2"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(place.path("run/metrics.jsonl.damaged")).unwrap(), damaged);
}

/// An incomplete last line is normal after a kill, and does not count as damage.
#[test]
fn an_incomplete_last_line_is_not_damage() {
    let place = Place::new();
    place.stdout(&format!("{TRAIN} --batch-size 100 --epochs 2 --log-every 1 --quiet --out run"));
    let path = place.path("run/metrics.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}{{\"kind\":\"st")).unwrap();
    assert_eq!(stderr(&place.run("train --resume run --epochs 3 --quiet")), "");
    assert!(!place.path("run/metrics.jsonl.damaged").exists());
    assert_eq!(lines(&fs::read_to_string(&path).unwrap()).len(), 3 * 4);
}

/// The folder of a run is removed while it is trained.
#[test]
fn no_missing_checkpoint_is_announced() {
    let place = Place::new();
    let args = format!("{TRAIN} --epochs 100000 --batch-size 1 --checkpoint-every 50 --log-every 1 --quiet --out run");
    let mut child = place.command(&args).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_steps(&place, "run", &mut child);
    // Renamed first, so that nothing is created in it while it is removed.
    fs::rename(place.path("run"), place.path("gone")).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: cannot ") && said.contains("run/"), "{said}");
    assert!(said.contains("there is no checkpoint to go on from: cannot read run/checkpoints: No such file"), "{said}");
    assert!(!said.contains("is good"), "{said}");
}

/// A folder that cannot be read must give an error, not be called empty.
#[test]
fn a_folder_that_cannot_be_read_is_not_called_empty() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::os::unix::process::CommandExt;
    let place = Place::trained();
    let allow =
        |name: &str, mode: u32| fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    let is_root = fs::metadata(place.path("data")).unwrap().uid() == 0;
    allow("", 0o755);
    fs::create_dir(place.path("shut")).unwrap();
    allow("shut", 0o700);
    fs::rename(place.path("run"), place.path("shut/run")).unwrap();
    fs::rename(place.path("data"), place.path("shut/data")).unwrap();
    if !is_root {
        allow("shut", 0o000);
    }
    let as_other = |args: &str| {
        let mut command = place.command(args);
        if is_root {
            command.uid(65534);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args}: {}", stderr(&output));
        stderr(&output)
    };
    for (args, names) in [
        ("data show --data shut/data --out /dev/full", "shut/data"),
        ("data export --data shut/data --to /dev/full", "shut/data"),
        ("train --model tiny.toml --data shut/data --device cpu", "shut/data"),
        ("train --resume shut/run --device cpu", "shut/run"),
        ("evaluate shut/run --device cpu", "shut/run"),
        ("train --model tiny.toml --device cpu --out shut/new", "shut/new"),
    ] {
        let said = as_other(args);
        assert!(said.contains(names) && said.contains("Permission denied"), "{args}: {said}");
    }
    allow("shut", 0o700);
    // Cases that any user may meet: circular links, and a folder whose place is taken by a file.
    fs::create_dir(place.path("loop")).unwrap();
    symlink(place.path("loop"), place.path("data")).unwrap();
    symlink("mnist", place.path("loop/mnist")).unwrap();
    for args in ["data show --data data/mnist --out a.png", "data show --out a.png"] {
        let output = place.run(args);
        let said = stderr(&output);
        assert!(said.contains("cannot look for data/mnist") && said.contains("symbolic links"), "{args}: {said}");
        assert_eq!(output.status.code(), Some(1), "{args}: {said}");
    }
}

/// A process that is killed while compressing leaves a partial file, which the next one removes.
#[test]
fn leftovers_of_a_killed_export_are_removed() {
    let place = Place::new();
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let left = |names: &[String]| names.iter().any(|name| name.ends_with(".shadegrad-tmp"));
    let folder = place.path("set");
    let mut child = place.command("data export --data builtin --to set").stdout(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !left(&names(&folder)) {
        assert!(start.elapsed() < Duration::from_secs(120), "nothing is written");
        std::thread::sleep(Duration::from_micros(200));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(left(&names(&folder)), "it was done already");
    fs::write(folder.join("mine.tmp"), "mine").unwrap();
    place.stdout("data export --data data --to set");
    let expected = [
        "mine.tmp",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ];
    assert_eq!(names(&folder), expected);
}
