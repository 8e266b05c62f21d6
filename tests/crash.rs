//! Fault injection: the program is killed at random moments, runs out of disk space, finds damaged checkpoints, and is
//! started twice. A run always resumes to the same final weights.
//!
//! `SHADEGRAD_TEST_KILLS` sets how often a run is killed; the default is 4, and recorded results use 20.

#![cfg(feature = "cli")]

#[path = "common/place.rs"]
mod place;

use place::{Place, lines};
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Two dropouts in addition to `tiny.toml`; 300 images in batches of 20 are 15 steps per epoch.
const MODEL: &str = "name = 'drops'\ninput = [28, 28, 1]\n[[layers]]\ntype = 'conv2d'\nfilters = 4\nkernel = 5\n\
                     stride = 2\nactivation = 'relu'\n[[layers]]\ntype = 'max_pool2d'\nsize = 2\n\
                     [[layers]]\ntype = 'dropout'\nrate = 0.2\n[[layers]]\ntype = 'flatten'\n\
                     [[layers]]\ntype = 'dense'\nunits = 16\nactivation = 'tanh'\n\
                     [[layers]]\ntype = 'dropout'\nrate = 0.1\n[[layers]]\ntype = 'dense'\nunits = 10\n";
const TRAIN: &str =
    "train --model drops.toml --data data --batch-size 20 --epochs 4 --momentum 0.9 --augment digits --quiet";
const STEPS: u64 = 60;

/// A folder with a finished run in `whole`.
fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("drops.toml"), MODEL).unwrap();
    place.stdout(&format!("{TRAIN} --log-every 1 --out whole"));
    place
}

/// The lines of a run's metrics without times.
fn metrics(place: &Place, run: &str) -> Vec<Value> {
    let mut lines = lines(&fs::read_to_string(place.path(run).join("metrics.jsonl")).unwrap());
    for line in &mut lines {
        for time in ["seconds", "images_per_second"] {
            line.as_object_mut().unwrap().remove(time);
        }
    }
    lines
}

/// Fails unless a run is bit-identical to `whole`.
fn assert_whole(place: &Place, run: &str, what: &str) {
    for name in ["model.safetensors", "confusion.csv"] {
        let read = |run: &str| fs::read(place.path(run).join(name)).unwrap();
        assert!(read(run) == read("whole"), "{what}: another {name}");
    }
    assert_eq!(metrics(place, run), metrics(place, "whole"), "{what}");
    let litter: Vec<_> = [run.to_string(), format!("{run}/checkpoints")]
        .iter()
        .flat_map(|folder| fs::read_dir(place.path(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("tmp")))
        .collect();
    assert!(litter.is_empty(), "{what}: {litter:?}");
}

fn spawn(place: &Place, args: &str) -> Child {
    place.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until a run has written a step or ended. Returns the last step written.
fn wait_for(place: &Place, run: &str, step: u64, child: &mut Child) -> u64 {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(place.path(run).join("metrics.jsonl")).unwrap_or_default();
        let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let last = whole.filter_map(|line| line["step"].as_u64()).max().unwrap_or(0);
        if last >= step || child.try_wait().unwrap().is_some() {
            return last;
        }
        assert!(start.elapsed() < Duration::from_secs(300), "no step {step} in five minutes");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    let place = place();
    let kills = std::env::var("SHADEGRAD_TEST_KILLS").map_or(4, |text| text.parse().unwrap());
    let mut state = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for kill in 1..=kills {
        let run = format!("run{kill}");
        let every = ["--checkpoint-every 7", "--checkpoint-every 1", ""][kill % 3];
        let mut child = spawn(&place, &format!("{TRAIN} --log-every 1 {every} --out {run}"));
        let (step, pause) = (1 + random(STEPS), random(3000));
        wait_for(&place, &run, step, &mut child);
        std::thread::sleep(Duration::from_micros(pause));
        child.kill().unwrap();
        child.wait().unwrap();
        let metrics = place.path(&run).join("metrics.jsonl");
        let killed = fs::read_to_string(metrics).unwrap().lines().count();
        let was_last = killed == STEPS as usize + 4;
        // Sometimes the resumed run is killed too.
        if kill % 2 == 0 {
            let mut child = spawn(&place, &format!("train --resume {run} --quiet"));
            wait_for(&place, &run, step.max(random(STEPS)), &mut child);
            child.kill().unwrap();
            child.wait().unwrap();
        }
        place.stdout(&format!("train --resume {run} --quiet"));
        let what = format!("kill {kill}: at step {step} and {pause} us, {every}");
        println!("{what}: {killed} lines of metrics{}", if was_last { ", at the very end" } else { "" });
        assert_whole(&place, &run, &what);
    }
}

#[test]
fn two_processes_do_not_train_one_run() {
    let place = place();
    let endless = "train --model drops.toml --data data --batch-size 20 --epochs 100000 --log-every 1 --quiet";
    let mut child = spawn(&place, &format!("{endless} --out run"));
    wait_for(&place, "run", 20, &mut child);
    let second = place.run("train --resume run");
    let stderr = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: run: another process is training this run"), "{stderr}");
    assert!(child.try_wait().unwrap().is_none(), "the first process has ended");
    child.kill().unwrap();
    child.wait().unwrap();
    // The lock is released when its process ends.
    place.stdout("train --resume run --max-steps 1000000 --epochs 3 --quiet");
}

#[test]
fn options_that_affect_the_result_cannot_be_changed() {
    let place = place();
    for option in [
        "--model mlp",
        "--batch-size 20",
        "--learning-rate 0.03",
        "--momentum 0.9",
        "--nesterov",
        "--weight-decay 0",
        "--loss quadratic",
        "--validation 0.1",
        "--seed 1",
        "--out other",
        "--init whole/model.safetensors",
        "--no-shuffle",
    ] {
        let name = option.split(' ').next().unwrap();
        place.refuses(2, &format!("train --resume whole {option}"), &["cannot be used with", "--resume", name]);
    }
    for (option, says) in [
        ("--tune whole", "--tune FILE cannot be used with --resume"),
        ("--epochs 3", "--epochs must be at least 4, which the run has done, got 3"),
        ("--max-steps 59", "--max-steps must be at least 60, which the run has done, got 59"),
        ("--log-every 0", "--log-every must be at least 1"),
        ("--data builtin", "built-in digits, seed 1: not the data that the run was trained on"),
        ("--device nosuch", "no device `nosuch`"),
    ] {
        place.refuses(1, &format!("train --resume whole {option}"), &[says]);
    }
    place.refuses(1, "train --resume nosuch", &["cannot read nosuch"]);
    place.refuses(1, "train --resume data", &["data: expected a run folder", "no run.toml"]);
    place.refuses(1, "train --resume drops.toml", &["expected a run folder, or a checkpoint in the folder of its run"]);
    place.refuses(1, "train --resume whole/model.safetensors", &["expected a run folder"]);
    place.refuses(2, "train --model drops.toml --checkpoint-every 0 --out run", &["500, 500steps, 10min"]);
    place.refuses(1, &format!("{TRAIN} --out whole"), &["never overwritten", "--resume"]);
}

#[test]
fn a_run_can_be_extended_and_moved() {
    let place = place();
    place.stdout(&format!("{TRAIN} --epochs 2 --log-every 1 --out run").replacen("--epochs 4 ", "", 1));
    // A finished run is not changed.
    let before = place.files();
    place.stdout("train --resume run --quiet");
    assert!(place.files() == before, "resuming a finished run has changed it");
    // Data and run may be moved; the number of epochs may be raised.
    fs::rename(place.path("data"), place.path("moved")).unwrap();
    fs::rename(place.path("run"), place.path("elsewhere")).unwrap();
    place.refuses(
        1,
        "train --resume elsewhere --epochs 4",
        &["--data DIR must say where the data of the run is now", "/data is not there any more"],
    );
    let said = place.stdout("train --resume elsewhere/ --epochs 4 --data moved");
    assert!(said.contains("  3/4  ") && said.contains("  4/4  ") && !said.contains("  2/4  "), "{said}");
    assert_whole(&place, "elsewhere", "two epochs and two more");
    let record: toml::Table = fs::read_to_string(place.path("elsewhere/run.toml")).unwrap().parse().unwrap();
    let resumed = record["resumed"].as_array().unwrap();
    assert_eq!((resumed.len(), resumed[0]["from_step"].as_integer()), (1, Some(30)));
    assert_eq!(resumed[0]["epochs"].as_integer(), Some(4));
    // A raised number of epochs also applies the next time.
    place.stdout("train --resume elsewhere --data moved --quiet");
    assert_whole(&place, "elsewhere", "resumed when finished");
    // Another device can resume the run, with a warning.
    let output = place.run("train --resume elsewhere --data moved --epochs 5 --device reference");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("warning: the checkpoint was made on ") && stderr.contains("CPU reference"), "{stderr}");
    assert_eq!(metrics(&place, "elsewhere").len(), 5 * 16);
    for checkpoint in ["best", "step-00000075"] {
        place.stdout(&format!("evaluate elsewhere/checkpoints/{checkpoint}.safetensors --data moved"));
    }
}

#[test]
fn damaged_checkpoints_are_named_and_older_ones_are_usable() {
    let place = place();
    // A finished run keeps its last checkpoint, so the one of an earlier end stands in for an older one.
    place.stdout(&format!("{TRAIN} --log-every 1 --checkpoint-every 10 --max-steps 45 --out run"));
    let older = place.path("run/checkpoints/step-00000045.safetensors");
    let kept = fs::read(&older).unwrap();
    place.stdout("train --resume run --max-steps 60 --quiet");
    assert!(!older.exists());
    fs::write(&older, kept).unwrap();
    let newest = place.path("run/checkpoints/step-00000060.safetensors");
    let whole = fs::read(&newest).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    for damaged in [&[][..], &whole[..7], &whole[..whole.len() / 2], &whole[..whole.len() - 1], &flipped] {
        fs::write(&newest, damaged).unwrap();
        let says = ["step-00000060.safetensors", "an older one is intact", "--resume run/checkpoints/step-00000045"];
        place.refuses(1, "train --resume run", &says);
        place.refuses(1, "train --resume run/checkpoints/step-00000060.safetensors", &says[..1]);
        place.refuses(1, "evaluate run/checkpoints/step-00000060.safetensors --data data", &says[..1]);
    }
    place.stdout("train --resume run/checkpoints/step-00000045.safetensors --max-steps 60 --quiet");
    assert_whole(&place, "run", "from the older checkpoint");

    // A checkpoint from another run.
    let other = TRAIN.replace("drops.toml", "tiny.toml");
    place.stdout(&format!("{other} --out other"));
    fs::copy(place.path("other/checkpoints/step-00000060.safetensors"), &newest).unwrap();
    place.refuses(1, "train --resume run", &["a checkpoint of the network `tiny`, the run trains `drops`"]);
    place.stdout(&format!("{TRAIN} --seed 2 --out seed"));
    fs::copy(place.path("seed/checkpoints/step-00000060.safetensors"), &newest).unwrap();
    place.refuses(1, "train --resume run", &["a checkpoint of a run with other options"]);

    fs::write(&newest, &whole).unwrap();
    let record = fs::read_to_string(place.path("run/run.toml")).unwrap();
    for (damage, says) in [(record.replace("log_every", "log_ever"), "log_every"), (String::new(), "run.toml")] {
        fs::write(place.path("run/run.toml"), damage).unwrap();
        place.refuses(1, "train --resume run", &["run.toml: not the record of a run", says]);
    }
    fs::write(place.path("run/run.toml"), &record).unwrap();
    fs::remove_dir_all(place.path("run/checkpoints")).unwrap();
    place.refuses(1, "train --resume run", &["cannot read run/checkpoints"]);
}

/// A file size limit stands in for a full disk: the first checkpoint fits, and one with a velocity does not. On the
/// CPU, because GPU drivers write files of their own.
#[cfg(unix)]
#[test]
fn a_full_disk_ends_the_run_and_spoils_nothing() {
    let place = place();
    let train = format!("{TRAIN} --log-every 1 --device cpu");
    place.stdout(&format!("{train} --out cpu"));
    place.stdout(&format!("{train} --max-steps 1 --out small"));
    let size = |name: &str| fs::metadata(place.path("small").join(name)).unwrap().len();
    // The first checkpoint has no velocity, which is as large as the weights.
    let (weights, second) = (size("model.safetensors"), size("checkpoints/step-00000001.safetensors"));
    // The shell counts in units of 512 bytes.
    let (blocks, binary) = ((second - weights / 2) / 512, env!("CARGO_BIN_EXE_shadegrad"));
    assert!(weights < blocks * 512 && blocks * 512 < second, "{weights} {second}");
    let script = format!("ulimit -f {blocks}; exec {binary} {train} --out run");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(place.path("")).env("SHADEGRAD_TUNE", "off").env_remove("SHADEGRAD_DATA");
    let output = shell.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for says in ["error: cannot write ", "step-00000015", "--resume run"] {
        assert!(stderr.contains(says), "{stderr}");
    }
    place.stdout("train --resume run --quiet");
    for name in ["model.safetensors", "confusion.csv"] {
        let read = |run: &str| fs::read(place.path(run).join(name)).unwrap();
        assert!(read("run") == read("cpu"), "another {name}");
    }
    assert_eq!(metrics(&place, "run"), metrics(&place, "cpu"));
}

/// As an unprivileged user: root may write anywhere, so as root the program is run as another user.
#[cfg(unix)]
#[test]
fn a_folder_that_is_read_only_is_named() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let place = place();
    let root = fs::metadata(place.path("whole")).unwrap().uid() == 0;
    let allow =
        |name: &str, mode: u32| fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    allow("", 0o755);
    for name in ["whole", "whole/checkpoints"] {
        allow(name, 0o555);
    }
    let before = place.files();
    let mut command = place.command("train --resume whole --epochs 5 --device cpu");
    if root {
        command.uid(65534);
    } else {
        allow("whole/.lock", 0o444);
    }
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: cannot open whole/.lock: Permission denied"), "{stderr}");
    assert!(place.files() == before);
    for name in ["whole", "whole/checkpoints"] {
        allow(name, 0o755);
    }
}
