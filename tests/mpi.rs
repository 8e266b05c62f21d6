//! Training as processes of MPI on this machine: the network of one process within rounding, equal bits from run to run,
//! resuming, interruptions, ranks that die, and errors that are said once.
//!
//! Needs `mpirun`, which `scripts/setup mpi` installs. `SHADEGRAD_TEST_KILLS` sets how often a rank is killed; the
//! default is 10.

#![cfg(all(feature = "cli", feature = "mpi", target_os = "linux"))]

#[path = "common/place.rs"]
mod place;

use place::{Place, lines};
use serde_json::Value;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Two dropouts in addition to `tiny.toml`; 300 images in batches of 70 are 5 steps per epoch, the last of 20 images.
const NETWORK: &str = "name = 'drops'\ninput = [28, 28, 1]\n[[layers]]\ntype = 'conv2d'\nfilters = 4\nkernel = 5\n\
                       stride = 2\nactivation = 'tanh'\n[[layers]]\ntype = 'average_pool2d'\nsize = 2\n\
                       [[layers]]\ntype = 'dropout'\nrate = 0.2\n[[layers]]\ntype = 'flatten'\n\
                       [[layers]]\ntype = 'dense'\nunits = 16\nactivation = 'tanh'\n\
                       [[layers]]\ntype = 'dropout'\nrate = 0.1\n[[layers]]\ntype = 'dense'\nunits = 10\n";

const TRAIN: &str = "train drops.toml --data data --batch-size 70 --log-every 1";

/// Largest difference of a loss from that of one process over twenty steps: sums are added in another order. A slice
/// that is placed wrongly in its batch shows up at 1e-3 (`tests/ranks.rs`).
const ROUNDING: f64 = 1e-6;

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("drops.toml"), NETWORK).unwrap();
    place
}

/// A command in several processes. The device is `cpu:1` unless the arguments name one.
fn mpirun(place: &Place, ranks: usize, args: &str) -> Command {
    let mut own = place.command(args);
    let takes_device = args.starts_with("train") || args.starts_with("study");
    if takes_device && !args.contains("--device") {
        own.args(["--device", "cpu:1"]);
    }
    let mut command = Command::new("mpirun");
    command.args(["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", &ranks.to_string()]);
    command.arg(own.get_program()).args(own.get_args()).current_dir(own.get_current_dir().unwrap());
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn run(place: &Place, ranks: usize, args: &str) -> Output {
    mpirun(place, ranks, args).output().expect("mpirun: `scripts/setup mpi` installs it")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command that must succeed.
fn succeed(place: &Place, ranks: usize, args: &str) -> Output {
    let output = run(place, ranks, args);
    assert!(output.status.success(), "{ranks} ranks, {args}: {}\n{}", output.status, text(&output.stderr));
    output
}

/// The losses of all steps, then those of the evaluations.
fn losses(place: &Place, run: &str) -> Vec<f64> {
    let lines = lines(&fs::read_to_string(place.path(run).join("metrics.jsonl")).unwrap());
    let of = |key: &str| lines.iter().filter_map(|line| line.get(key).and_then(Value::as_f64)).collect::<Vec<_>>();
    let all = [of("loss"), of("val_loss")].concat();
    assert_eq!(all.len(), 20 + 4);
    all
}

fn weights(place: &Place, run: &str) -> Vec<u8> {
    fs::read(place.path(run).join("model.safetensors")).unwrap()
}

fn assert_near(got: &[f64], expected: &[f64], what: &str) {
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        let off = (got - expected).abs();
        assert!(off <= ROUNDING * expected.abs().max(1.0), "{what}: loss {index}: {got}, expected {expected}");
    }
}

const OPTIMIZERS: [&str; 4] = [
    "--momentum 0.9 --augment digits",
    "--momentum 0.9 --nesterov --clip-norm 0.5 --accumulate 2",
    "--optimizer adam --epsilon 0.05 --learning-rate 0.02 --ema 0.8",
    "--optimizer adamw --epsilon 0.05 --learning-rate 0.02 --weight-decay 0.01 --label-smoothing 0.1",
];

#[test]
fn several_processes_train_the_network_of_one() {
    let place = place();
    for (number, optimizer) in OPTIMIZERS.iter().enumerate() {
        place.stdout(&format!("{TRAIN} --epochs 4 {optimizer} --device cpu:1 --quiet --out alone{number}"));
        let expected = losses(&place, &format!("alone{number}"));
        for ranks in 1..=4 {
            let out = format!("ranks{number}-{ranks}");
            succeed(&place, ranks, &format!("{TRAIN} --epochs 4 {optimizer} --quiet --out {out}"));
            assert_near(&losses(&place, &out), &expected, &format!("{ranks} ranks, {optimizer}"));
            if ranks == 1 {
                assert!(weights(&place, &out) == weights(&place, &format!("alone{number}")), "one rank is no rank");
            }
        }
    }
}

#[test]
fn the_same_processes_give_the_same_bits() {
    let place = place();
    for (ranks, devices) in [(4, "cpu:1"), (3, "cpu:1,auto,cpu:1")] {
        for out in ["first", "second"] {
            succeed(&place, ranks, &format!("{TRAIN} --epochs 4 --device {devices} --quiet --out {out}-{ranks}"));
        }
        let [first, second] = ["first", "second"].map(|out| weights(&place, &format!("{out}-{ranks}")));
        assert!(first == second, "{ranks} ranks on {devices}: runs differ");
    }
}

#[test]
fn processes_on_a_driver_and_on_different_devices() {
    let place = place();
    for (number, optimizer) in OPTIMIZERS.iter().enumerate() {
        place.stdout(&format!("{TRAIN} --epochs 4 {optimizer} --device cpu:1 --quiet --out alone{number}"));
        let expected = losses(&place, &format!("alone{number}"));
        for (ranks, devices) in [(2, "auto"), (2, "cpu:1,auto"), (3, "auto,cpu:1,auto")] {
            let out = format!("{}-{number}", devices.replace([',', ':'], "-"));
            let output =
                succeed(&place, ranks, &format!("{TRAIN} --epochs 4 {optimizer} --device {devices} --out {out}"));
            assert_near(&losses(&place, &out), &expected, &format!("{ranks} ranks on {devices}"));
            let said = text(&output.stderr);
            assert!(
                said.contains(if devices == "auto" { "ranks: 2, each on a device of this kind" } else { "rank 1 of" }),
                "{said}"
            );
            assert_eq!(said.matches("data: ").count(), 1, "only rank 0 prints: {said}");
        }
    }
}

#[test]
fn a_run_is_resumed_with_the_same_bits() {
    let place = place();
    succeed(&place, 3, &format!("{TRAIN} --epochs 4 --quiet --out whole"));
    for steps in [3, 7] {
        let out = format!("cut{steps}");
        succeed(&place, 3, &format!("{TRAIN} --epochs 4 --quiet --max-steps {steps} --out {out}"));
        let output = succeed(&place, 3, &format!("train --resume {out} --max-steps 20 --quiet"));
        assert_eq!(text(&output.stderr), "");
        assert!(weights(&place, &out) == weights(&place, "whole"), "resumed after {steps} steps");
    }
    // On another number of ranks, the bits may differ.
    succeed(&place, 3, &format!("{TRAIN} --epochs 4 --quiet --max-steps 7 --out other"));
    let output = succeed(&place, 2, "train --resume other --max-steps 20");
    let said = text(&output.stderr);
    assert_eq!(said.matches("the checkpoint was made by 3 ranks, and 2 resume it").count(), 1, "{said}");
    assert_near(&losses(&place, "other"), &losses(&place, "whole"), "resumed on two ranks");
    // `--like` repeats a run; rank 0 reads its record.
    succeed(&place, 3, "train --like whole --quiet --out again");
    assert!(weights(&place, "again") == weights(&place, "whole"));
}

/// The process of a rank, once it has started.
fn process(mpirun: &Child, rank: usize) -> Option<u32> {
    let wanted = format!("OMPI_COMM_WORLD_RANK={rank}");
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.into_iter().find(|pid: &u32| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let has = |text: &[u8], wanted: &str| text.split(|byte| *byte == 0).any(|part| part == wanted.as_bytes());
        let parent = format!("PPid:\t{}", mpirun.id());
        has(&read("environ"), &wanted) && String::from_utf8_lossy(&read("status")).lines().any(|line| line == parent)
    })
}

/// Starts a run that would take a long time, and waits for a checkpoint after the first.
fn start_endless(place: &Place, ranks: usize, out: &str) -> Child {
    let args = format!("{TRAIN} --epochs 100000 --checkpoint-every 3 --out {out}");
    let mut command = mpirun(place, ranks, &args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    let count = || fs::read_to_string(place.path(out).join("metrics.jsonl")).unwrap_or_default().lines().count();
    while count() < 12 {
        assert!(start.elapsed() < Duration::from_secs(60), "the run does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn signal(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// A rank that is killed ends the run with a message that names it, and the last checkpoint is good.
#[test]
fn a_rank_that_dies_ends_all() {
    let place = place();
    let kills = std::env::var("SHADEGRAD_TEST_KILLS").map_or(10, |kills| kills.parse().unwrap());
    for turn in 0..kills {
        let (rank, out) = (turn % 3, format!("killed{turn}"));
        let child = start_endless(&place, 3, &out);
        // At another moment of a step in each turn.
        std::thread::sleep(Duration::from_millis(turn as u64 * 7));
        signal(process(&child, rank).expect("the process of a rank"), "-KILL");
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        assert!(!status.success(), "rank {rank} was killed");
        let said = text(&stderr);
        assert!(said.contains(&format!("process rank {rank} ")) && said.contains("signal 9"), "{said}");
        // The next step of the last checkpoint can be made.
        let (checkpoint, step) = last_checkpoint(&place, &out);
        let epochs = step / 5 + 1;
        succeed(&place, 3, &format!("train --resume {out} --epochs {epochs} --quiet"));
        assert!(step >= 3, "{checkpoint}");
        succeed(&place, 3, &format!("{TRAIN} --epochs {epochs} --quiet --out undisturbed{turn}"));
        let undisturbed = weights(&place, &format!("undisturbed{turn}"));
        assert!(weights(&place, &out) == undisturbed, "turn {turn}: resumed with other bits");
    }
}

/// The last checkpoint of a run, and its step.
fn last_checkpoint(place: &Place, run: &str) -> (String, usize) {
    let entries = fs::read_dir(place.path(run).join("checkpoints")).unwrap();
    let step = |name: &str| name.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().ok();
    let named = entries.filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        Some((step(&name)?, name))
    });
    let (step, name) = named.max().unwrap();
    (name, step)
}

#[test]
fn an_interrupted_run_is_saved() {
    let place = place();
    let child = start_endless(&place, 2, "run");
    signal(child.id(), "-INT");
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert!(!status.success() || status.signal().is_some());
    let said = text(&stderr);
    assert_eq!(said.matches("interrupted; the weights are saved in run").count(), 1, "{said}");
    let (_, step) = last_checkpoint(&place, "run");
    assert!(step >= 12, "the interrupted run has saved step {step}");
    succeed(&place, 2, &format!("train --resume run --epochs {} --quiet", step / 5 + 1));
}

/// Ranks take whole runs, and each is the run of one process.
#[test]
fn ranks_share_a_study() {
    let place = place();
    let study = "study tiny.toml drops.toml --seeds 2 --epochs 1 --data data --device cpu:1";
    let output = succeed(&place, 3, &format!("{study} --out shared"));
    place.stdout(&format!("{study} --quiet --out alone"));
    let runs = |study: &str| {
        let entries = fs::read_dir(place.path(study).join("runs")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(runs("shared"), runs("alone"));
    for run in runs("alone") {
        let [shared, alone] = ["shared", "alone"].map(|study| weights(&place, &format!("{study}/runs/{run}")));
        assert!(shared == alone, "{run}: other weights");
    }
    assert!(place.path("shared/report.html").exists());
    let printed = text(&output.stdout);
    assert_eq!(printed.matches("the report is in ").count(), 1, "{printed}\n{}", text(&output.stderr));
}

/// What is wrong is said once, by rank 0 or with the rank's number, and the exit status is not zero.
#[test]
fn errors_are_said_once() {
    let place = place();
    let text_of_linear = "input = [28, 28, 1]\n[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 8\n\
                          [[layers]]\ntype = 'dense'\nunits = 8\n[[layers]]\ntype = 'dense'\nunits = 10\n";
    fs::write(place.path("linear.toml"), text_of_linear).unwrap();
    let errors = |output: &Output| text(&output.stderr).matches("error: ").count();
    for (args, says) in [
        ("train drops.toml --data nowhere", "nowhere"),
        ("train nothing.toml --data data", "nothing.toml"),
        ("train drops.toml --data data --learning-rate 0", "--learning-rate must be above 0"),
        ("train drops.toml --data data --no-such-option", "--no-such-option"),
        ("train drops.toml --data data --find-nan", "--find-nan needs the whole batch on one device"),
        (
            "train drops.toml --data data --device cpu:1,cpu:1",
            "is a list of 2 devices, but 3 processes run on this machine",
        ),
        ("train linear.toml --data data --batch-size 10 --learning-rate 1000", "try a smaller learning rate"),
        ("train --resume nowhere", "nowhere"),
        ("evaluate run", "only `train` and `study` run in several processes"),
    ] {
        let output = run(&place, 3, args);
        assert!(!output.status.success(), "{args}");
        assert!(text(&output.stderr).contains(says), "{args}: {}", text(&output.stderr));
        assert_eq!(errors(&output), 1, "{args}: {}", text(&output.stderr));
    }
    let shown = succeed(&place, 3, "--version");
    assert_eq!(text(&shown.stdout).matches("shadegrad ").count(), 1);
}

/// An error that only one rank has names it.
#[test]
fn the_error_of_one_rank_names_it() {
    let place = place();
    let own = place.command("train drops.toml --data data --quiet --out run --device cpu:1");
    let program = own.get_program().to_str().unwrap();
    // Rank 1 has other data: the first images are labelled otherwise.
    fs::create_dir(place.path("other")).unwrap();
    for entry in fs::read_dir(place.path("data")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, place.path("other").join(path.file_name().unwrap())).unwrap();
    }
    let labels = place.path("other/train-labels-idx1-ubyte");
    let mut bytes = fs::read(&labels).unwrap();
    bytes[8] = (bytes[8] + 1) % 10;
    fs::write(&labels, bytes).unwrap();
    for (data_of_1, says) in [("other", "rank 1 has another data set than rank 0"), ("missing", "rank 1: ")] {
        let script = format!(
            "D=data; [ $OMPI_COMM_WORLD_RANK = 1 ] && D={data_of_1}; \
             exec {program} train drops.toml --data $D --quiet --out run --device cpu:1"
        );
        let mut command = Command::new("mpirun");
        command.args(["--allow-run-as-root", "--oversubscribe", "-n", "2", "sh", "-c", &script]);
        let output = command.current_dir(place.path("")).output().unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(says), "{said}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
        assert!(!place.path("run").exists(), "no run has begun");
    }
}
