//! Runs in the library: the events of the observer, the files in the folder, and resuming.

#[path = "common/spots.rs"]
mod spots;

use shadegrad::data::{Source, idx};
use shadegrad::machine::DeviceChoice;
use shadegrad::run::{Run, RunChanges, RunEnd, RunEvent, RunOptions, RunRecord, Tuning, Validation};
use shadegrad::train::{Optimizer, StepOptions, TrainOptions};
use shadegrad::{Error, Result};
use spots::{data, model, options};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use tempfile::TempDir;

/// A folder with data to train on.
fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let data = data(95, 30);
    idx::write_folder(&place.path().join("data"), &data.train, &data.test).unwrap();
    place
}

/// Fifteen steps in three epochs.
fn run_options(place: &Path, out: &str) -> RunOptions {
    RunOptions {
        model: "small".into(),
        network: model(),
        training: TrainOptions {
            epochs: 3,
            step: StepOptions { optimizer: Optimizer::sgd(0.5), weight_decay: 1e-3, ..options().step },
            ..options()
        },
        data: Source::Folder(place.join("data")),
        device: DeviceChoice::Cpu(Some(2)),
        tuning: Tuning::Off,
        out: Some(place.join(out)),
        log_every: 1,
        ..RunOptions::new("case1").unwrap()
    }
}

fn start(options: RunOptions) -> Result<Run> {
    pollster::block_on(Run::start(options, &mut |_| Ok(ControlFlow::Continue(()))))
}

fn resume(run: &Path, changes: RunChanges) -> Result<Run> {
    pollster::block_on(Run::resume(run, changes, &mut |_| Ok(ControlFlow::Continue(()))))
}

fn weights(run: &Path) -> Vec<u8> {
    fs::read(run.join("model.safetensors")).unwrap()
}

#[test]
fn the_observer_hears_everything_in_order() {
    let place = place();
    let mut heard = Vec::new();
    let mut lines = String::new();
    let run = pollster::block_on(Run::start(run_options(place.path(), "run"), &mut |event| {
        heard.push(match event {
            RunEvent::Opened(device) => device.description[..3].to_string(),
            RunEvent::Loaded { network, data } => format!("{} {}", network.name, data.train.len()),
            RunEvent::Started { options, .. } => format!("{} epochs", options.epochs),
            RunEvent::Steps(report) => format!("step {}", report.first_step),
            RunEvent::Epoch(report) => format!("epoch {}", report.epoch),
            RunEvent::Metric(line) => {
                lines += &format!("{line}\n");
                return Ok(ControlFlow::Continue(()));
            }
            RunEvent::Note(text) | RunEvent::Warning(text) => text.to_string(),
            _ => "something else".to_string(),
        });
        Ok(ControlFlow::Continue(()))
    }))
    .unwrap();
    let mut expected = vec!["CPU".to_string(), "small 95".into(), "3 epochs".into()];
    for epoch in 1..=3 {
        expected.extend((5 * epoch - 4..=5 * epoch).map(|step| format!("step {step}")));
        expected.push(format!("epoch {epoch}"));
    }
    assert_eq!(heard, expected);
    assert_eq!((run.end, run.progress.step, run.folder.as_path()), (RunEnd::Finished, 15, &*place.path().join("run")));
    assert_eq!(fs::read_to_string(run.folder.join("metrics.jsonl")).unwrap(), lines);
    assert_eq!(lines.lines().count(), 15 + 3);
    assert_eq!(run.evaluation.unwrap().images(), 30);
}

#[test]
fn a_record_is_read_back_and_started_again() {
    let place = place();
    let options =
        RunOptions { validation: Validation::HeldOut("20".parse().unwrap()), ..run_options(place.path(), "a") };
    let first = start(options.clone()).unwrap();
    let again = RunRecord::read(&first.folder).unwrap().run_options().unwrap();
    assert_eq!(again.training, TrainOptions { every_step: true, ..options.training });
    assert_eq!((again.validation, again.scale, again.log_every), (options.validation, options.scale, 1));
    assert_eq!((&again.model, again.network.to_toml()), (&options.model, options.network.to_toml()));
    assert_eq!((again.device.clone(), again.out.clone()), (options.device, None));
    let second = start(RunOptions { out: Some(place.path().join("b")), ..again }).unwrap();
    assert!(weights(&first.folder) == weights(&second.folder));
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bits() {
    let place = place();
    let whole = start(run_options(place.path(), "whole")).unwrap();
    for until in [0, 1, 5, 8, 15] {
        let out = format!("cut-{until}");
        let cut = pollster::block_on(Run::start(run_options(place.path(), &out), &mut |event| {
            let ends = match event {
                RunEvent::Started { .. } => until == 0,
                RunEvent::Steps(report) => report.first_step == until,
                _ => false,
            };
            Ok(if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        }))
        .unwrap();
        // The last step ends the last epoch, which is evaluated when the run is resumed.
        assert_eq!((cut.end, cut.progress.step), (RunEnd::Interrupted, until));
        let resumed = resume(&cut.folder, RunChanges::default()).unwrap();
        assert_eq!((resumed.end, resumed.progress.step), (RunEnd::Finished, 15), "after {until}");
        assert!(weights(&resumed.folder) == weights(&whole.folder), "after {until}");
        let lines = |run: &Run| fs::read_to_string(run.folder.join("metrics.jsonl")).unwrap().lines().count();
        assert_eq!(lines(&resumed), lines(&whole), "after {until}");
    }
}

#[test]
fn changes_that_do_not_fit_name_their_field() {
    let place = place();
    let run = start(run_options(place.path(), "run")).unwrap();
    let refused = |changes: RunChanges| match resume(&run.folder, changes) {
        Err(Error::Option(error)) => (error.option(), error.to_string()),
        other => panic!("{other:?}"),
    };
    let (field, text) = refused(RunChanges { epochs: Some(2), ..RunChanges::default() });
    assert_eq!((field, text.as_str()), ("epochs", "epochs must be at least 3, which the run has done, got 2"));
    let (field, text) = refused(RunChanges { max_steps: Some(14), ..RunChanges::default() });
    assert_eq!((field, text.as_str()), ("max_steps", "max_steps must be at least 15, which the run has done, got 14"));
    assert_eq!(refused(RunChanges { log_every: Some(0), ..RunChanges::default() }).0, "log_every");
    let tuning = Tuning::File(run.folder.clone());
    assert_eq!(refused(RunChanges { tuning, ..RunChanges::default() }).0, "tune");
    // The additional epoch is trained.
    let longer = resume(&run.folder, RunChanges { epochs: Some(4), ..RunChanges::default() }).unwrap();
    assert_eq!((longer.end, longer.progress.step), (RunEnd::Finished, 20));
}

#[test]
fn errors_are_found_before_a_folder_is_created() {
    let place = place();
    let options = run_options(place.path(), "run");
    let training = TrainOptions { epochs: 0, ..options.training.clone() };
    let error = start(RunOptions { training, ..options.clone() }).unwrap_err();
    assert_eq!(error.to_string(), "epochs must be at least 1, got 0");
    start(RunOptions { data: Source::Folder(place.path().join("nowhere")), ..options.clone() }).unwrap_err();
    start(RunOptions { init: Some(place.path().join("nothing")), ..options.clone() }).unwrap_err();
    assert!(!place.path().join("run").exists());
    start(options.clone()).unwrap();
    let error = start(options).unwrap_err().to_string();
    assert!(error.contains("runs are never overwritten"), "{error}");
}
