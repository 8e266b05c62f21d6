//! The verifier: it passes correct kernels, detects wrong ones, and says how to repeat a failure; the tuner avoids what
//! it finds.

#![cfg(feature = "cli")]

mod common;
#[path = "common/program.rs"]
mod program;

use common::gpu;
use serde_json::Value;
use shadegrad::fast::Instructions;
use shadegrad::gpu::{Command as Dispatched, Recording};
use shadegrad::known_bad::{KnownBad, KnownFault};
use shadegrad::machine::DeviceChoice;
use shadegrad::network::{CompileOptions, Network};
use shadegrad::ops::{ChooseKernel, KernelConfig, KernelForm, drawn, edge_cases};
use shadegrad::tune::{Cache, Effort, Tuner, candidates};
use shadegrad::verify::{Extent, KernelRow, Launch, Report, VerifyOptions, VerifyProgress, variants, verify};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A part of the device's name, in the syntax of `--device`.
fn device() -> String {
    std::env::var("SHADEGRAD_TEST_DEVICE").unwrap_or("auto".into())
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = program::program();
    command.args(args).current_dir(folder).env("SHADEGRAD_CACHE", folder.join("cache"));
    command
}

fn run(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

/// Standard output of a command that must end with this status.
fn output(folder: &Path, args: &[&str], status: i32) -> String {
    let output = run(folder, args);
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{args:?}\n{text}\n{errors}");
    text
}

fn options(folder: &Path, only: &str) -> VerifyOptions {
    VerifyOptions {
        device: DeviceChoice::Adapter(common::adapter()),
        extent: Extent::Quick,
        model: None,
        only: Some(only.parse().unwrap()),
        command: "the command".into(),
        repeat: "repeat".into(),
        random_shapes: None,
        seed: seed(),
        cache: Some(folder.join("cache")),
        tamper: None,
    }
}

/// Seed of the random shapes: always the same, unless `SHADEGRAD_TEST_SEED` is set.
fn seed() -> u64 {
    std::env::var("SHADEGRAD_TEST_SEED").map_or(1, |seed| seed.parse().expect("SHADEGRAD_TEST_SEED is a number"))
}

fn verified(options: &VerifyOptions) -> Report {
    pollster::block_on(verify(options, &mut |_: VerifyProgress<'_>| ControlFlow::Continue(()))).unwrap()
}

/// In the last dispatch of each pass, all workgroups but one do nothing.
fn too_few_groups(recording: &mut Recording) {
    let dispatches = recording.commands.iter_mut().filter_map(|command| match command {
        Dispatched::Dispatch(dispatch) => Some(dispatch),
        Dispatched::Mirror { .. } => None,
    });
    dispatches.for_each(|dispatch| dispatch.groups = [1, 1]);
}

#[test]
fn a_report_keeps_the_name_that_it_is_given() {
    let written = |name: &str| Report::paths(Path::new(name)).map(|path| path.display().to_string());
    for name in ["here/mesa-22.3", "here/mesa-22.3.json", "here/mesa-22.3.md", "here/mesa-22.3.txt"] {
        assert_eq!(written(name), ["here/mesa-22.3.json", "here/mesa-22.3.md"]);
    }
}

#[test]
fn a_report_that_cannot_be_written_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for (name, says) in [("nosuch/report", "there is no folder nosuch"), (".", "got a folder")] {
        let output = run(folder.path(), &["verify", "--device", &device(), "--report", name]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(says) && !errors.contains("verifying"), "{errors}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    }
}

#[test]
fn correct_kernels_pass_and_a_report_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["verify", "--device", &device(), "--quick", "--only", "sgd", "--report", "report.txt"];
    let text = output(folder.path(), &args, 0);
    assert!(text.contains("all pass") && text.contains("sgd/update_momentum"), "{text}");
    let json = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["device"]["adapter"], gpu().info.name.as_str());
    assert_eq!(report["device"]["driver"], gpu().driver().as_str());
    assert_eq!(report["shadegrad"], env!("CARGO_PKG_VERSION"));
    assert!(report["wgpu"].as_str().unwrap().starts_with("30."), "{}", report["wgpu"]);
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.len() >= 2 && rows.iter().all(|row| row["cases"].as_u64() > Some(0)), "{rows:?}");
    // A driver's version may contain what Markdown needs a backslash before, such as `~`.
    let markdown = std::fs::read_to_string(folder.path().join("report.md")).unwrap().replace('\\', "");
    assert!(markdown.contains(&gpu().driver()) && markdown.contains(&text[text.find("  kernel").unwrap()..][..40]));
    assert!(!folder.path().join("cache").exists(), "nothing was found, so nothing is remembered");
}

#[test]
fn every_fault_is_detected() {
    let folder = tempfile::tempdir().unwrap();
    let text = output(folder.path(), &["verify", "--device", &device(), "--inject"], 0);
    assert!(!text.contains("MISSED") && text.contains("faults were detected"), "{text}");
    let seen = text.lines().filter(|line| line.contains("  detected  ")).count();
    assert!(seen >= 20, "only {seen} faults\n{text}");
    for what in
        ["last bit of", "wrong stride", "barrier", "stale copy", "NaN", "past its end", "second run", "training"]
    {
        assert!(text.contains(what), "no {what}\n{text}");
    }
}

/// All faults are detected, so the table is tested directly.
#[test]
fn an_undetected_fault_is_named() {
    let injected = |seen: Option<&str>| shadegrad::verify::Injected {
        what: "a stride",
        pass: "dense.forward".into(),
        seen: seen.map(String::from),
    };
    let table = shadegrad::verify::injected_table(&[injected(Some("y[0]")), injected(None)]).render();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].contains("detected") && lines[1].contains("y[0]") && lines[2].ends_with("MISSED"), "{table}");
}

#[test]
fn a_failure_says_how_to_repeat_it_and_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let broken = VerifyOptions { tamper: Some(too_few_groups), ..options(folder.path(), "pool2d.forward:2") };
    let report = verified(&broken);
    assert!(report.failed() && !report.interrupted);
    let [row, ..] = &report.rows[..] else { panic!("no row") };
    let failure = &row.failures[0];
    assert!(failure.finding.contains("y[") && failure.finding.contains("NaN"), "{failure:?}");
    assert!(failure.operation.starts_with("Forward") && failure.operands == "random", "{failure:?}");
    let text = report.text().to_string();
    assert!(text.contains("FAIL") && text.contains(&failure.repeat) && !text.contains("all pass"), "{text}");

    // The command repeats only this case: it fails in the same way with the fault, and passes without it.
    let only = failure.repeat.strip_prefix("repeat --only ").unwrap();
    let again = verified(&VerifyOptions { only: Some(only.parse().unwrap()), ..broken });
    let [same] = &again.rows[..] else { panic!("{:?}", again.rows) };
    assert_eq!((&same.kernel, &same.variant, &same.failures[0].finding), (&row.kernel, &row.variant, &failure.finding));
    let text = output(folder.path(), &["verify", "--device", &device(), "--only", only], 0);
    assert_eq!(text.matches(row.kernel.as_str()).count(), 1, "{text}");

    // The list of this machine contains the kernel, and the tuner avoids it.
    let known = KnownBad::open(Some(&folder.path().join("cache")), gpu()).unwrap();
    let entry = known.entries().iter().find(|entry| entry.kernel == row.kernel).unwrap();
    assert!(entry.reason.contains("NaN") && entry.sources.is_some(), "{entry:?}");
}

/// `--only` selects from the cases of a quick verification, unless a shape or variant is selected by its number.
#[test]
fn a_part_of_a_quick_verification_is_quick() {
    let folder = tempfile::tempdir().unwrap();
    let report = |device: DeviceChoice, extent, only: &str| {
        verified(&VerifyOptions { device, extent, random_shapes: Some(0), ..options(folder.path(), only) })
    };
    let on_cpu = |extent, only: &str| report(DeviceChoice::Cpu(None), extent, only).cases();
    let three: usize = (0..3).map(|shape| on_cpu(Extent::Quick, &format!("activation.forward:{shape}"))).sum();
    assert_eq!(on_cpu(Extent::Quick, "activation.forward"), three);
    assert!(on_cpu(Extent::Standard, "activation.forward") > three);
    assert!(on_cpu(Extent::Quick, "activation.forward:3") > 0);

    let rows = |extent, only: &str| report(DeviceChoice::Adapter(common::adapter()), extent, only).rows.len();
    assert!(rows(Extent::Quick, "dense.forward:0") < rows(Extent::Standard, "dense.forward:0"));
    let [quick, all] = [Extent::Quick, Extent::Standard].map(|extent| variants(gpu(), extent).len());
    assert!((quick..all).any(|variant| rows(Extent::Quick, &format!("dense.forward:0:{variant}")) == 1));
}

/// Random shapes in addition to a quick verification of everything, on the CPU and on the test device.
#[test]
fn random_shapes_pass() {
    let folder = tempfile::tempdir().unwrap();
    for (device, count) in [(DeviceChoice::Cpu(None), 2000), (DeviceChoice::Adapter(common::adapter()), 150)] {
        let random_shapes = Some(count);
        let report = verified(&VerifyOptions { device, only: None, random_shapes, ..options(folder.path(), "all") });
        assert!(report.random_shapes >= count && !report.failed(), "seed {}\n{}", seed(), report.text());
        assert!(report.text().to_string().contains(&format!("`--seed {}`", seed())), "{}", report.text());
    }
}

/// A random shape can be drawn again by itself, with the command in the failure.
#[test]
fn a_failure_at_a_random_shape_says_how_to_repeat_it() {
    let folder = tempfile::tempdir().unwrap();
    let random = |only: &str| VerifyOptions {
        random_shapes: Some(200),
        seed: 5,
        tamper: Some(too_few_groups),
        ..options(folder.path(), only)
    };
    let report = verified(&random("pool2d.forward"));
    let failures = report.rows.iter().flat_map(|row| &row.failures);
    let failure = failures.into_iter().find(|failure| failure.repeat.contains(":random")).unwrap();
    let only = failure.repeat.strip_prefix("repeat --only ").unwrap().strip_suffix(" --seed 5").unwrap();
    let again = verified(&random(only));
    let [row] = &again.rows[..] else { panic!("{:?}", again.rows) };
    let same = &row.failures[0];
    assert_eq!((&same.operation, &same.finding, &same.repeat), (&failure.operation, &failure.finding, &failure.repeat));
    // Without the fault, the same shape passes, and another seed draws another shape.
    let args = ["verify", "--device", &device(), "--only", only, "--seed", "5"];
    assert!(output(folder.path(), &args, 0).contains("1 of the shapes"));
    let other = verified(&VerifyOptions { seed: 6, ..random(only) });
    assert!(other.rows.iter().flat_map(|row| &row.failures).all(|other| other.operation != failure.operation));
}

/// Two convolutions that are worth tuning, and a dense layer.
const NETWORK: &str = r#"
input = [14, 14, 8]
layers = [
    { type = "conv2d", filters = 16, kernel = 3, activation = "relu" },
    { type = "conv2d", filters = 16, kernel = 3 },
    { type = "flatten" },
    { type = "dense", units = 8 },
]
"#;

fn launch(label: &str, config: &KernelConfig) -> Launch {
    let compiled = compiled();
    let pass = compiled.train.iter().find(|pass| pass.label == label).unwrap();
    let mut recording = Recording::new();
    shadegrad::ops::record(&compiled.plan, pass, config, &mut recording).unwrap();
    Launch::of(&recording)
}

fn compiled() -> shadegrad::network::Compiled {
    let options = CompileOptions { batch: 32, train_images: 64, slots: 2, ..CompileOptions::default() };
    Network::from_toml("small", NETWORK).unwrap().compile(&options).unwrap()
}

/// Writes the list in a cache folder.
fn list(cache: &Path, kernel: &str, variant: &str) {
    std::fs::create_dir_all(cache).unwrap();
    let adapter = &gpu().info.name[..4];
    let text = format!(
        "[[bad]]\nadapter = {adapter:?}\nkernel = {kernel:?}\nvariant = {variant:?}\nreason = 'a test says so'\n"
    );
    std::fs::write(KnownBad::path(cache), text).unwrap();
}

#[test]
fn the_tuner_refuses_what_is_known_to_be_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let tuned = |effort| {
        let mut cache = Cache::open(Some(folder.path()), gpu());
        let compiled = compiled();
        let mut tuner = Tuner::new(gpu(), &compiled, &cache).unwrap();
        pollster::block_on(tuner.go_on(gpu(), effort, &mut |_| ())).unwrap();
        tuner.remember(&mut cache);
        cache.save().unwrap();
        (tuner.choices().unwrap(), tuner.tuned())
    };
    let guess = candidates(gpu())[0];
    let bad = launch("conv2.forward", &guess);
    let takes = |config: &KernelConfig, label: &str| launch(label, config) == launch(label, &guess);
    // Measured before it was listed or not yet tried: it is not chosen.
    tuned(Effort::Within(Duration::from_secs(600)));
    list(folder.path(), &bad.kernel, &bad.variant);
    let all = Effort::Within(Duration::from_secs(600));
    for effort in [all, Effort::Full, Effort::Within(Duration::ZERO)] {
        let (choices, tuned) = tuned(effort);
        let conv2 = tuned.iter().find(|tuned| tuned.label == "conv2.forward").unwrap();
        let refused = conv2.entry.refused.iter().find(|(config, _)| *config == guess).unwrap();
        assert_eq!(refused.1, "known to be wrong: a test says so");
        assert!(!takes(choices.config("conv2.forward"), "conv2.forward"), "{effort:?}");
        assert!(conv2.entry.tried.iter().all(|(config, _)| *config != guess));
    }
    // A pass that is too small to be tuned gets the guess if that is not listed, and otherwise another kernel.
    let (choices, _) = tuned(all);
    assert_eq!(choices.config("dense1.forward"), &guess);
    let bad = launch("dense1.forward", &guess);
    list(folder.path(), &bad.kernel, &bad.variant);
    let (choices, _) = tuned(all);
    assert!(!takes(choices.config("dense1.forward"), "dense1.forward"));
    // If all variants are listed, only the naive kernel is left.
    list(folder.path(), &bad.kernel, "");
    let (choices, _) = tuned(all);
    assert_eq!(choices.config("dense1.forward").form, KernelForm::Naive);
}

#[test]
fn an_entry_that_passes_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    list(&cache, "sgd/update", "");
    let only = "sgd.update:3";
    let rows = |report: &Report| -> Vec<KernelRow> {
        report.rows.iter().filter(|row| row.kernel == "sgd/update").cloned().collect()
    };
    let passes = verified(&options(folder.path(), only));
    assert!(!passes.failed() && !rows(&passes).is_empty() && rows(&passes).iter().all(|row| row.known_bad.is_some()));
    assert!(passes.notes.iter().any(|note| note.contains("sgd/update") && note.contains("a test says so")));
    let text = output(folder.path(), &["verify", "--device", &device(), "--only", only], 0);
    assert!(text.contains("pass, but listed as known bad"), "{text}");

    // An expected failure does not fail the verification, and nothing is added to the list.
    let before = std::fs::read_to_string(KnownBad::path(&cache)).unwrap();
    let fails = verified(&VerifyOptions { tamper: Some(too_few_groups), ..options(folder.path(), only) });
    assert!(!fails.failed() && rows(&fails).iter().all(|row| !row.failures.is_empty()), "{:?}", fails.rows);
    assert!(fails.text().to_string().contains("known bad"), "{}", fails.text());
    assert_eq!(std::fs::read_to_string(KnownBad::path(&cache)).unwrap(), before);
}

#[test]
fn an_entry_is_removed_when_its_kernel_passes() {
    let folder = tempfile::tempdir().unwrap();
    let launch = launch("conv2.forward", &KernelConfig::of(gpu()));
    let found = [KnownFault::found(gpu(), &launch, "y[0]: got 1".into())];
    let remember =
        |found: &[KnownFault], cleared: &[Launch]| KnownBad::remember(folder.path(), gpu(), found, cleared).unwrap();
    let known = || KnownBad::open(Some(folder.path()), gpu()).unwrap().entry(&launch).is_some();
    assert!(remember(&found, &[]) && known());
    assert!(!remember(&found, &[]), "twice");
    let other = Launch { sources: "0".into(), ..launch.clone() };
    assert!(!remember(&[], &[other]) && known(), "an entry for another text of the shader does not count");
    assert!(remember(&[], std::slice::from_ref(&launch)) && !known());
    // An entry made by a person is kept.
    list(folder.path(), &launch.kernel, "");
    assert!(!remember(&[], std::slice::from_ref(&launch)) && known());
}

#[test]
fn the_cpu_is_verified_in_all_its_instructions() {
    let folder = tempfile::tempdir().unwrap();
    let text = output(folder.path(), &["verify", "--device", "cpu", "--only", "dense.forward:0"], 0);
    for instructions in Instructions::all() {
        assert!(text.contains(instructions.name()), "no {}\n{text}", instructions.name());
    }
    assert!(text.contains("dense.forward") && text.contains("all pass"), "{text}");
}

#[test]
fn the_passes_of_a_network_are_verified_at_their_shapes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("small.toml"), NETWORK).unwrap();
    let args = ["verify", "--device", &device(), "--model", "small.toml", "--batch-size", "5", "--only", "small/conv2"];
    let text = output(folder.path(), &args, 0);
    for kernel in ["conv2d/forward", "conv2d/backward_input", "conv2d/backward_weight"] {
        assert!(text.contains(kernel), "no {kernel}\n{text}");
    }
    assert!(!text.contains("pool2d") && !text.contains("training"), "{text}");
}

/// A pass that no case covers was forgotten in its `cases.rs`, or in `edge_cases`.
#[test]
fn no_pass_is_forgotten() {
    let verified: BTreeSet<String> = edge_cases().iter().map(|op| op.name().to_string()).collect();
    let drawn: BTreeSet<String> = drawn(1, 1).map(|(_, op)| op.name().to_string()).collect();
    assert_eq!(verified, drawn, "edge cases and random shapes are not of the same passes");
    let rooms = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops")).unwrap();
    let mut passes = 0;
    for room in rooms.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let files =
            std::fs::read_dir(&room).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
        for name in files.collect::<String>().split("fn name(&self) -> &'static str {").skip(1) {
            let Some(name) = name.split('"').nth(1).filter(|name| name.contains('.')) else { continue };
            assert!(verified.contains(name), "{}: {name} is not verified", room.display());
            passes += 1;
        }
    }
    assert_eq!(passes, verified.len());
}

#[test]
fn nonsense_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |args: &[&str], status: i32, says: &str| {
        let output = run(folder.path(), &[&["verify"], args].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(status) && errors.contains(says), "{args:?}: {errors}");
    };
    refused(&["--device", "reference"], 1, "the reference is what other devices are verified against");
    refused(&["--device", "cpu", "--only", "conv3d"], 1, "called `conv3d`");
    refused(&["--device", "cpu", "--only", "conv"], 1, "called `conv`");
    refused(&["--only", "conv2d:x"], 2, "expected PASS");
    refused(&["--only", "conv2d:random"], 2, "expected PASS");
    refused(&["--only", "conv2d:1:2:3"], 2, "expected PASS");
    refused(&["--device", "cpu", "--inject"], 1, "faults are injected into shaders");
    refused(&["--quick", "--full"], 2, "cannot be used with");
    list(&folder.path().join("cache"), "", "");
    refused(&["--device", &device(), "--only", "sgd:0"], 1, "known-bad.toml");
}

/// After Ctrl-C the report covers what was done, but is not a success.
#[cfg(unix)]
#[test]
fn an_interrupted_verification_reports_what_it_has_done() {
    use std::io::{BufRead, BufReader, Read};
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(folder.path(), &["verify", "--device", "cpu"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("verifying"), "{line}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut text = String::new();
    child.stdout.as_mut().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{text}");
    assert!(text.contains("interrupted") && text.contains("conv2d.forward"), "{text}");
}
