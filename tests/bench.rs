//! `shadegrad bench` and `train --profile` on the command line. No test depends on how fast the machine is.

#![cfg(feature = "cli")]

use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

const MODEL: &str = "name = 'tiny'\ninput = [12, 12, 1]\n[[layers]]\ntype = 'conv2d'\nfilters = 8\nkernel = 3\n\
                     activation = 'relu'\n[[layers]]\ntype = 'conv2d'\nfilters = 8\nkernel = 3\n\
                     [[layers]]\ntype = 'max_pool2d'\nsize = 2\n[[layers]]\ntype = 'flatten'\n\
                     [[layers]]\ntype = 'dense'\nunits = 10\n";

/// A window with so many loop iterations that no shader is launched for it, while the CPU can run it.
const ONLY_CPU: &str = "name = 'wide'\ninput = [300, 300, 1]\n[[layers]]\ntype = 'max_pool2d'\nsize = 300\n\
                        [[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 2\n";

/// A folder with `tiny.toml` and `wide.toml`, and one for the caches.
struct Place(tempfile::TempDir, tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(place.path("tiny.toml"), MODEL).unwrap();
        fs::write(place.path("wide.toml"), ONLY_CPU).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs the program; `GPU` in the arguments is replaced by the test device.
    fn command(&self, args: &str) -> Command {
        let gpu = std::env::var("SHADEGRAD_TEST_DEVICE").unwrap_or("auto".into());
        let mut command = Command::new(env!("CARGO_BIN_EXE_shadegrad"));
        let args = args.split_whitespace().map(|arg| arg.replace("GPU", &gpu));
        command.args(args).current_dir(self.0.path()).env_remove("SHADEGRAD_DATA");
        command.env("SHADEGRAD_CACHE", self.1.path()).env("SHADEGRAD_TUNE", "off");
        command
    }

    fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    /// Standard output of a successful command.
    fn stdout(&self, args: &str) -> String {
        let Output { status, stdout, stderr } = self.run(args);
        assert!(status.success(), "{args}: {status}\n{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    fn json(&self, args: &str) -> Value {
        let text = self.stdout(args);
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The command must fail at once with this status and an error that contains all of `says`.
    fn refuses(&self, status: i32, args: &str, says: &[&str]) {
        let before = self.names();
        let output = self.run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{args}: {stderr}");
        for text in says {
            assert!(stderr.contains(text), "{args}: expected `{text}` in {stderr}");
        }
        assert!(!stderr.contains("panicked") && output.stdout.is_empty(), "{args}: {stderr}");
        assert_eq!(before, self.names(), "{args}: wrote something");
    }
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no number `{key}` in {value}"))
}

#[test]
fn devices_are_compared_in_turns() {
    let place = Place::new();
    let args = "bench --model tiny.toml --devices cpu,GPU --seconds 0.05 --repeats 2 --batch 10";
    let report = place.json(&format!("{args} --json"));
    assert_eq!((number(&report, "repeats"), number(&report, "batch")), (2.0, 10.0));
    assert_eq!(number(&report, "seconds"), 0.05);
    assert!(number(&report, "processors") >= 1.0 && report["warnings"].is_array());
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!((row["model"].as_str(), &row["error"]), (Some("tiny.toml"), &Value::Null));
        for key in ["images_per_second", "step_seconds", "open_seconds", "compile_seconds", "first_step_seconds"] {
            let [min, median, max] = ["min", "median", "max"].map(|which| number(&row[key], which));
            assert!(0.0 <= min && min <= median && median <= max, "{key} of {row}");
        }
        assert!(row.as_object().unwrap().contains_key("tune_seconds"), "{row}");
        let runs = row["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 2, "{row}");
        for run in runs {
            let [images, steps, seconds] = ["images", "steps", "seconds"].map(|key| number(run, key));
            assert!(steps >= 1.0 && images == 10.0 * steps && seconds >= 0.05, "{run}");
        }
        // With ten images per step, the two figures are equivalent.
        let [rate, step] = ["images_per_second", "step_seconds"].map(|key| number(&row[key], "max"));
        let least = number(&row["images_per_second"], "min");
        assert!((least * step / 10.0 - 1.0).abs() < 1e-9, "{rate} images/s, {step} s per step");
        if cfg!(target_os = "linux") {
            let memory = number(row, "peak_memory");
            assert!((1e6..1e11).contains(&memory), "{memory} bytes at most");
        }
    }
    assert_eq!((rows[0]["device"].as_str(), number(&rows[0], "ratio")), (Some("cpu"), 1.0));
    let [cpu, gpu] = [0, 1].map(|row| number(&rows[row]["images_per_second"], "median"));
    assert!((number(&rows[1], "ratio") * cpu / gpu - 1.0).abs() < 1e-9, "{report}");

    let output = place.run(args);
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let turns: Vec<_> = err.lines().filter(|line| line.contains(" images/s")).collect();
    assert_eq!(turns.len(), 4, "{err}");
    for (turn, starts) in turns.iter().zip(["1/2  tiny.toml on cpu", "1/2  ", "2/2  tiny.toml on cpu", "2/2  "]) {
        assert!(turn.starts_with(starts), "{err}");
    }
    assert!(!turns[1].contains("on cpu"), "devices should alternate: {err}");
    let heading = out.lines().next().unwrap();
    for column in ["images/s", "min..max", "ms/step", "open", "compile", "tune", "first step", "memory", "ratio"] {
        assert!(heading.contains(column), "{out}");
    }
    assert_eq!(out.lines().filter(|line| line.starts_with("  tiny.toml ")).count(), 2, "{out}");
}

/// The devices requested are measured, and each row has the name of its device.
#[test]
fn native_devices_are_distinguished() {
    let place = Place::new();
    let report = place
        .json("bench --model tiny.toml --devices cpu:1,cpu:2,reference --seconds 0.01 --repeats 1 --batch 10 --json");
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for (row, [name, says]) in
        rows.iter().zip([["cpu:1", "1 thread,"], ["cpu:2", "2 threads,"], ["reference", "reference"]])
    {
        assert_eq!(row["device"].as_str(), Some(name), "{row}");
        let opened = row["runs"][0]["device"].as_str().unwrap();
        assert!(opened.contains(says), "{name} opened `{opened}`");
    }
}

/// The row that fails has an error, after the others were measured; the exit status is 1.
#[test]
fn a_failing_device_does_not_stop_the_others() {
    let place = Place::new();
    let output = place.run("bench --model wide.toml --devices GPU,cpu --seconds 0.01 --repeats 1 --batch 2 --json");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: wide.toml on ") && stderr.contains("pool2d"), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [gpu, cpu] = [0, 1].map(|row| &report["rows"][row]);
    assert!(gpu["error"].as_str().is_some_and(|error| error.starts_with("pool2d")), "{gpu}");
    assert_eq!((&gpu["images_per_second"], gpu["runs"].as_array().map(Vec::len)), (&Value::Null, Some(0)));
    assert!(number(&cpu["images_per_second"], "median") > 0.0 && cpu["error"].is_null(), "{cpu}");
    assert_eq!(cpu["ratio"], Value::Null, "there is nothing to compare with");
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_was_measured() {
    use std::io::{BufRead, BufReader, Read};
    let place = Place::new();
    let mut child = place
        .command("bench --model tiny.toml --devices cpu --seconds 0.01 --repeats 1000 --batch 10")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("1/1000  tiny.toml on cpu: ") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended without a signal");
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{rest}");
    assert!(rest.contains("interrupted") && !rest.contains("error: "), "{rest}");
    let out = String::from_utf8(output.stdout).unwrap();
    let row = out.lines().find(|line| line.starts_with("  tiny.toml ")).unwrap_or_else(|| panic!("no row: {out}"));
    assert!(!row.contains("failed"), "{out}");
}

/// SIGKILL of the parent cannot be handled; the measurement must not continue without it.
#[cfg(target_os = "linux")]
#[test]
fn a_measurement_ends_with_its_parent() {
    use std::time::Duration;
    let place = Place::new();
    let mut bench = place
        .command("bench --model tiny.toml --devices cpu --seconds 3600 --repeats 1 --batch 10")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let wait = |done: &mut dyn FnMut() -> bool| {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < Duration::from_secs(60), "nothing has happened");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let mut id = String::new();
    wait(&mut || {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", bench.id())).unwrap_or_default();
        id = children.split_whitespace().next().unwrap_or_default().to_string();
        // Checked by name, because a child starts as a copy of its parent.
        fs::read_to_string(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.contains("one"))
    });
    // By then it is measuring.
    std::thread::sleep(Duration::from_millis(300));
    bench.kill().unwrap();
    bench.wait().unwrap();
    let state = || fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The process that inherits it may not collect its status at once.
    wait(&mut || state().rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z')));
}

/// `kill` signals only the parent; the measurement must not continue without it.
#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_ends_the_measurement_too() {
    use std::time::Duration;
    let place = Place::new();
    let mut bench = place
        .command("bench --model tiny.toml --devices cpu --seconds 3600 --repeats 1 --batch 10")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let mut until = |done: &mut dyn FnMut(&mut std::process::Child) -> bool| {
        while !done(&mut bench) {
            if start.elapsed() > Duration::from_secs(60) {
                bench.kill().unwrap();
                panic!("nothing has happened");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let mut measurement = PathBuf::new();
    until(&mut |bench| {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", bench.id())).unwrap_or_default();
        measurement = children.split_whitespace().next().map_or_else(PathBuf::new, |id| format!("/proc/{id}").into());
        measurement.exists()
    });
    until(&mut |bench| {
        assert!(Command::new("kill").args(["-INT", &bench.id().to_string()]).status().unwrap().success());
        std::thread::sleep(Duration::from_millis(500));
        bench.try_wait().unwrap().is_some()
    });
    let output = bench.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(!measurement.exists(), "{} is still running", measurement.display());
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.lines().any(|line| line.starts_with("  tiny.toml  cpu            -")), "{out}");
}

/// Labels of the dispatches in order, as printed by `plan`.
fn planned(place: &Place) -> Vec<String> {
    let plan = place.stdout("plan tiny.toml --batch-size 10 --images 60 --device GPU");
    let numbered = plan.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next()?.parse::<usize>().ok()?;
        let is_label = |word: &&str| *word == "score" || word.contains('.') && word.parse::<f64>().is_err();
        words.next().filter(is_label).map(str::to_string)
    });
    let labels: Vec<_> = numbered.collect();
    assert!(labels.len() > 10 && labels.iter().any(|label| label == "sgd.update"), "{labels:?}");
    labels
}

#[test]
fn every_dispatch_of_the_plan_has_a_row() {
    let place = Place::new();
    let labels = planned(&place);
    let args = "bench kernels --model tiny.toml --batch 10 --device GPU";
    let start = Instant::now();
    let report = place.json(&format!("{args} --json --roofline roof.svg"));
    let wall = start.elapsed().as_secs_f64();
    let rows = report["rows"].as_array().unwrap();
    let label = |row: &Value| row["label"].as_str().unwrap().to_string();
    let dispatches: Vec<_> = rows.iter().map(label).filter(|label| !label.ends_with(".copy")).collect();
    assert_eq!(dispatches, labels);
    for row in rows {
        assert!(row["kernel"].as_str().is_some_and(|kernel| !kernel.is_empty()), "{row}");
        assert!(number(row, "seconds") >= 0.0 && number(row, "bytes") > 0.0 && number(row, "flops") >= 0.0, "{row}");
        for key in ["flops_per_second", "bytes_per_second", "flops_share", "bytes_share"] {
            assert!(row[key].is_null() || number(row, key) > 0.0, "{key} of {row}");
        }
        assert_eq!(label(row).ends_with(".copy"), row["kernel"].as_str().unwrap().starts_with("copy of "), "{row}");
    }
    let sum: f64 = rows.iter().map(|row| number(row, "seconds")).sum();
    assert!((sum / number(&report, "sum_seconds") - 1.0).abs() < 1e-9);
    assert!(sum > 0.0 && sum < wall && number(&report, "step_seconds") < wall, "{sum} s of {wall} s");
    assert!(number(&report["ceilings"], "flops_per_second") > 0.0);
    assert!(number(&report["ceilings"], "bytes_per_second") > 0.0);
    assert_eq!((report["model"].as_str(), number(&report, "batch")), (Some("tiny"), 10.0));
    assert!(report.as_object().unwrap().contains_key("busy_processors_of_others"));
    assert!(report["timed_by"].is_string() && number(&report, "replays") >= 3.0);

    let table = place.stdout(args);
    for label in &labels {
        assert!(table.lines().any(|line| line.starts_with(&format!("  {label} "))), "no {label} in {table}");
    }
    assert!(table.contains("measured peak: "), "{table}");
    let svg = fs::read_to_string(place.path("roof.svg")).unwrap();
    for text in ["conv2.forward", "dense1.backward_weight", "GFLOP/s", "training step of tiny"] {
        assert!(svg.contains(text), "no `{text}` in the picture");
    }
    assert_eq!(place.names(), ["roof.svg", "tiny.toml", "wide.toml"]);
}

#[test]
fn the_cpu_has_times_and_no_ceilings() {
    let place = Place::new();
    let report = place.json("bench kernels --model tiny.toml --batch 10 --device cpu --json");
    assert_eq!((&report["ceilings"], report["timed_by"].as_str()), (&Value::Null, Some("host")));
    let labels: Vec<_> = report["rows"].as_array().unwrap().iter().map(|row| row["label"].as_str().unwrap()).collect();
    assert!(labels.contains(&"conv2.backward_input") && labels.last() == Some(&"sgd.update"), "{labels:?}");
}

#[test]
fn a_profiled_run_learns_the_same() {
    let place = Place::new();
    let model = MODEL.replace("[12, 12, 1]", "[28, 28, 1]");
    fs::write(place.path("digits.toml"), model).unwrap();
    let (images, labels) = shadegrad::data::builtin::digits(60, 1);
    fs::create_dir(place.path("data")).unwrap();
    for set in ["train", "t10k"] {
        let path = |kind: &str| place.path(&format!("data/{set}-{kind}-ubyte"));
        shadegrad::data::idx::write_images(&path("images-idx3"), &images, [28, 28, 1]).unwrap();
        shadegrad::data::idx::write_labels(&path("labels-idx1"), &labels).unwrap();
    }
    let args = "train --model digits.toml --data data --batch-size 20 --epochs 2 --device GPU";
    place.stdout(&format!("{args} --out plain --quiet"));
    let text = place.stdout(&format!("{args} --out profiled --profile"));
    for says in ["  conv2.forward ", "  sgd.update ", "GFLOP/s", "measured peak: "] {
        assert!(text.contains(says), "no `{says}` in {text}");
    }
    let json = place.stdout(&format!("{args} --out json --profile --json"));
    let read = |name: &str| fs::read(place.path(name)).unwrap();
    for run in ["profiled", "json"] {
        assert!(
            read("plain/model.safetensors") == read(&format!("{run}/model.safetensors")),
            "{run} learned something else"
        );
        assert!(read("plain/confusion.csv") == read(&format!("{run}/confusion.csv")), "{run} has another evaluation");
    }
    assert!(!String::from_utf8(read("plain/metrics.jsonl")).unwrap().contains("profile"));
    assert_eq!(json.as_bytes(), read("json/metrics.jsonl"));
    let last: Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!(last["kind"].as_str(), Some("profile"));
    assert!(last["rows"].as_array().unwrap().len() > 10 && number(&last, "step_seconds") > 0.0, "{last}");
    assert_eq!(place.stdout(&format!("{args} --out silent --profile --quiet")), "");
}

#[test]
fn invalid_measurements_are_named() {
    let place = Place::new();
    let bench = "bench --model tiny.toml --devices cpu";
    for (option, says) in [
        ("--seconds 0", "--seconds must be above 0 and at most 3600, got 0"),
        ("--seconds nan", "--seconds must be above 0 and at most 3600, got NaN"),
        ("--repeats 0", "--repeats must be from 1 to 1000, got 0"),
        ("--batch 0", "--batch-size must be from 1 to 65536, got 0"),
        ("--batch 65537", "--batch-size must be from 1 to 65536, got 65537"),
        ("--model case9", "no network `case9`"),
        ("--model nosuch.toml", "cannot read nosuch.toml"),
    ] {
        place.refuses(1, &format!("{bench} {option}"), &[says]);
    }
    let devices = "bench --model tiny.toml --devices";
    place.refuses(1, &format!("{devices} cpu,nosuch"), &["no device `nosuch`; expected auto, cpu, reference, or"]);
    place.refuses(1, &format!("{devices} 77"), &["no device `77`"]);
    place.refuses(1, &format!("{devices} cpu,,cpu"), &["--device cpu,,cpu: a name is empty"]);
    place.refuses(2, &format!("{bench} --seconds many"), &["--seconds"]);
    place.refuses(1, "bench nosuch", &["no network `nosuch`"]);
    let kernels = "bench kernels --model tiny.toml --batch 10";
    place.refuses(1, &format!("{kernels} --device nosuch"), &["no device `nosuch`"]);
    place.refuses(1, &format!("{kernels} --roofline roof.png"), &["roof.png", "ends in .svg"]);
    place.refuses(1, &format!("{kernels} --roofline nosuch/roof.svg"), &["no folder nosuch"]);
    place.refuses(1, &format!("{kernels} --roofline roof.svg --device cpu"), &["--roofline needs a GPU"]);
    place.refuses(1, "bench kernels --model tiny.toml --batch 0", &["--batch-size must be from 1 to 65536, got 0"]);
    place.refuses(1, "bench kernels --model case9", &["no network `case9`"]);
    place.refuses(1, "bench kernels --model wide.toml --batch 2 --device GPU", &["pool2d"]);
}
