//! An interrupted run that is resumed is bit-identical to an uninterrupted one.

#[path = "common/spots.rs"]
mod spots;

use shadegrad::data::DataPair;
use shadegrad::fast::Instructions;
use shadegrad::machine::{Device, DeviceChoice};
use shadegrad::network::Weights;
use shadegrad::ops::augment::Augment;
use shadegrad::train::Checkpoint;
use shadegrad::train::{
    EpochReport, Event, Interval, Optimizer, Outcome, Schedule, Span, StepOptions, TrainOptions, Trainer,
};
use spots::{data, gpu, model, options};
use std::ops::ControlFlow;

/// 95 images in batches of 20: five steps per epoch, the last of them partial. With momentum, dropout, weight decay and
/// augmentation.
const STEPS: usize = 15;

fn three_epochs() -> TrainOptions {
    TrainOptions {
        epochs: 3,
        step: StepOptions { weight_decay: 1e-3, augment: Some(Augment::DIGITS), ..options().step },
        ..options()
    }
}

/// What two runs must have in common: everything except times.
#[derive(Debug, PartialEq)]
struct Trace {
    losses: Vec<f64>,
    epochs: Vec<(usize, usize, [u64; 4])>,
}

impl Trace {
    fn new() -> Trace {
        Trace { losses: Vec::new(), epochs: Vec::new() }
    }

    fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Steps(report) => {
                assert_eq!(report.first_step, self.losses.len() + 1);
                self.losses.extend(report.losses);
            }
            Event::Epoch(report, _) => {
                let EpochReport { epoch, step, train_loss, train_accuracy, val_loss, val_accuracy, .. } = **report;
                let bits = [train_loss, train_accuracy, val_loss, val_accuracy].map(f64::to_bits);
                self.epochs.push((epoch, step, bits));
            }
            Event::Checkpoint(_) | Event::Recovery(_) => {}
        }
    }
}

/// Trains until the observer has received step `until`, or to the end.
fn go(trainer: &mut Trainer<'_>, trace: &mut Trace, until: usize) -> Outcome {
    pollster::block_on(trainer.run(&mut |event| {
        trace.hear(&event);
        let ends = matches!(&event, Event::Steps(report) if report.first_step + report.losses.len() > until);
        Ok(if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }))
    .unwrap()
}

/// All results of a run, in bytes.
fn end(trainer: &mut Trainer<'_>) -> Vec<u8> {
    let mut checkpoint = pollster::block_on(trainer.checkpoint()).unwrap();
    checkpoint.state.progress.epoch.seconds = 0.0;
    checkpoint.options = TrainOptions { every_step: false, checkpoint_every: None, ..checkpoint.options };
    checkpoint.to_bytes()
}

/// A run without interruption.
fn undisturbed(device: &Device, data: &DataPair, options: TrainOptions) -> (Trace, Vec<u8>) {
    let mut trainer = Trainer::new(device, &model(), data, options, None).unwrap();
    let mut trace = Trace::new();
    let outcome = go(&mut trainer, &mut trace, usize::MAX);
    assert!(!outcome.interrupted);
    (trace, end(&mut trainer))
}

#[test]
fn a_resumed_run_is_the_same_run() {
    let data = data(95, 30);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let cpu = Device::cpu(Some(2), Instructions::best(), None).unwrap();
    let reference = pollster::block_on(Device::open(&DeviceChoice::Reference)).unwrap();
    let everywhere: Vec<usize> = (0..=STEPS).collect();
    for (device, ends) in [(gpu(), &[0, 1, 5, 8, 15][..]), (&cpu, &everywhere), (&reference, &[4, 11])] {
        let name = &device.description;
        for nesterov in [false, true] {
            let options = TrainOptions {
                every_step: true,
                step: StepOptions { optimizer: Optimizer::Sgd { momentum: 0.9, nesterov }, ..three_epochs().step },
                ..three_epochs()
            };
            let (expected, expected_end) = undisturbed(device, &data, options.clone());
            assert_eq!((expected.losses.len(), expected.epochs.len()), (STEPS, 3));
            for until in ends {
                let mut first = Trainer::new(device, &model(), &data, options.clone(), None).unwrap();
                let mut trace = Trace::new();
                if *until > 0 {
                    assert!(go(&mut first, &mut trace, *until).interrupted);
                }
                pollster::block_on(first.checkpoint()).unwrap().save(&path).unwrap();
                drop(first);
                let restored = Checkpoint::load(&path).unwrap();
                assert_eq!(restored.state.progress.step, *until);
                let mut second = Trainer::resume(device, restored, &data).unwrap();
                go(&mut second, &mut trace, usize::MAX);
                assert_eq!(trace, expected, "{name}, after step {until}");
                assert!(
                    end(&mut second) == expected_end,
                    "{name}, after step {until}: the run ends with other results"
                );
            }
        }
    }
}

/// Options that depend on the number of the step, or have state, continue unaffected.
fn variations() -> Vec<TrainOptions> {
    let plain = TrainOptions { every_step: true, ..three_epochs() };
    let cycle = Schedule::OneCycle { peak_at: 0.3, start_factor: 0.04, end_factor: 4e-6 };
    vec![
        TrainOptions { schedule: Schedule::Step { size: 1, gamma: 0.5 }, ..plain.clone() },
        TrainOptions { schedule: Schedule::Cosine { end_factor: 0.1 }, warmup: Some(Span::Steps(7)), ..plain.clone() },
        TrainOptions { step: StepOptions { label_smoothing: 0.1, ..plain.step }, ..plain.clone() },
        TrainOptions { step: StepOptions { clip_norm: Some(0.3), ..plain.step }, ..plain.clone() },
        TrainOptions { step: StepOptions { ema: Some(0.9), ..plain.step }, ..plain.clone() },
        TrainOptions {
            learning_rate: 0.01,
            step: StepOptions { optimizer: Optimizer::adamw(), ema: Some(0.9), ..plain.step },
            ..plain.clone()
        },
        TrainOptions { schedule: cycle, ..plain.clone() },
        TrainOptions {
            learning_rate: 0.01,
            step: StepOptions { optimizer: Optimizer::adam(), ..plain.step },
            ..plain.clone()
        },
        TrainOptions {
            learning_rate: 0.01,
            step: StepOptions { optimizer: Optimizer::adamw(), ..plain.step },
            ..plain
        },
    ]
}

#[test]
fn a_resumed_run_is_the_same_run_with_every_option() {
    let data = data(95, 30);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let cpu = Device::cpu(Some(2), Instructions::best(), None).unwrap();
    let (_, plain) = undisturbed(&cpu, &data, three_epochs());
    for options in variations() {
        for (device, ends) in [(gpu(), &[0, 6][..]), (&cpu, &[1, 5, 8, 14])] {
            let (expected, expected_end) = undisturbed(device, &data, options.clone());
            assert!(expected_end != plain, "{options:?} does nothing");
            for until in ends {
                let mut first = Trainer::new(device, &model(), &data, options.clone(), None).unwrap();
                let mut trace = Trace::new();
                if *until > 0 {
                    assert!(go(&mut first, &mut trace, *until).interrupted);
                }
                pollster::block_on(first.checkpoint()).unwrap().save(&path).unwrap();
                let restored = Checkpoint::load(&path).unwrap();
                let mut second = Trainer::resume(device, restored, &data).unwrap();
                go(&mut second, &mut trace, usize::MAX);
                assert_eq!(trace, expected, "{options:?}, after step {until}");
                assert!(
                    end(&mut second) == expected_end,
                    "{options:?}, after step {until}: the run ends with other results"
                );
            }
        }
    }
}

/// The times of checkpoints, and the number of steps per submit, do not affect results.
#[test]
fn checkpoints_change_no_bit() {
    let data = data(400, 30);
    let options = TrainOptions { epochs: 2, ..three_epochs() };
    let (expected, expected_end) = undisturbed(gpu(), &data, options.clone());
    for every in [1, 3, 7, 20, 1000] {
        let checkpoint_every = Some(Interval::Steps(every));
        let mut trainer =
            Trainer::new(gpu(), &model(), &data, TrainOptions { checkpoint_every, ..options.clone() }, None).unwrap();
        let (mut trace, mut made) = (Trace::new(), Vec::new());
        pollster::block_on(trainer.run(&mut |event| {
            trace.hear(&event);
            if let Event::Checkpoint(checkpoint) = event {
                made.push(checkpoint.state.progress.step);
            }
            Ok(ControlFlow::Continue(()))
        }))
        .unwrap();
        assert_eq!(trace, expected, "every {every}");
        assert!(end(&mut trainer) == expected_end, "every {every}: the run ends with other results");
        let due: Vec<usize> = (1..=40).filter(|step| step % every == 0 || step % 20 == 0).collect();
        assert_eq!(made, due, "every {every}");
    }
}

#[test]
fn a_run_can_be_made_longer() {
    let data = data(95, 30);
    let (expected, expected_end) = undisturbed(gpu(), &data, three_epochs());
    // Stopped in the middle of an epoch, which is then evaluated, and at the end of one.
    for shorter in [
        TrainOptions { max_steps: Some(7), ..three_epochs() },
        TrainOptions { epochs: 1, ..three_epochs() },
        TrainOptions { max_steps: Some(10), ..three_epochs() },
    ] {
        let mut first = Trainer::new(gpu(), &model(), &data, shorter.clone(), None).unwrap();
        let mut trace = Trace::new();
        assert!(!go(&mut first, &mut trace, usize::MAX).interrupted);
        assert!(first.is_finished());
        let mut checkpoint = pollster::block_on(first.checkpoint()).unwrap();
        // An epoch that was stopped early is reported again when it is complete.
        trace.epochs.truncate(checkpoint.state.progress.epochs);
        checkpoint.options = three_epochs();
        // The evaluation of the incomplete epoch may have been the best so far, so it is kept.
        let mut second = Trainer::resume(gpu(), checkpoint, &data).unwrap();
        go(&mut second, &mut trace, usize::MAX);
        assert_eq!(trace, expected, "{shorter:?}");
        let ends = [&end(&mut second), &expected_end].map(|bytes| Weights::from_bytes(bytes, &model()).unwrap());
        assert!(ends[0] == ends[1], "{shorter:?}: the run ends with other results");
    }
}

/// All steps are done, but the last epoch has not been evaluated.
#[test]
fn the_evaluation_at_the_end_is_not_forgotten() {
    let data = data(95, 30);
    for options in [options(), TrainOptions { max_steps: Some(3), ..options() }] {
        let (expected, expected_end) = undisturbed(gpu(), &data, options.clone());
        let mut first = Trainer::new(gpu(), &model(), &data, options, None).unwrap();
        let mut trace = Trace::new();
        assert!(go(&mut first, &mut trace, expected.losses.len()).interrupted && trace.epochs.is_empty());
        let checkpoint = pollster::block_on(first.checkpoint()).unwrap();
        let mut second = Trainer::resume(gpu(), checkpoint, &data).unwrap();
        go(&mut second, &mut trace, usize::MAX);
        assert_eq!(trace, expected);
        assert!(end(&mut second) == expected_end);
    }
}

/// For a finished run, only the evaluation remains.
#[test]
fn a_finished_run_is_evaluated_again() {
    let data = data(95, 30);
    let mut trainer = Trainer::new(gpu(), &model(), &data, options(), None).unwrap();
    let first = go(&mut trainer, &mut Trace::new(), usize::MAX);
    let checkpoint = pollster::block_on(trainer.checkpoint()).unwrap();
    let mut again = Trainer::resume(gpu(), checkpoint, &data).unwrap();
    let mut trace = Trace::new();
    let second = go(&mut again, &mut trace, usize::MAX);
    assert_eq!(trace, Trace::new());
    assert_eq!(second.epochs.len(), 0);
    let worth = |outcome: &Outcome| outcome.evaluation.as_ref().map(|e| (e.loss.to_bits(), e.confusion.clone()));
    assert!(worth(&second).is_some() && worth(&first) == worth(&second));
}

#[test]
fn the_best_evaluation_is_remembered() {
    let data = data(95, 30);
    let options = TrainOptions { epochs: 8, learning_rate: 0.3, ..options() };
    let mut trainer = Trainer::new(gpu(), &model(), &data, options, None).unwrap();
    let (mut best, mut marked) = (Vec::new(), 0);
    let outcome = pollster::block_on(trainer.run(&mut |event| {
        if let Event::Checkpoint(checkpoint) = event {
            best.push(checkpoint.state.progress.best.unwrap());
            marked = if checkpoint.is_best() { checkpoint.state.progress.step } else { marked };
        }
        Ok(ControlFlow::Continue(()))
    }))
    .unwrap();
    let worth = |report: &&EpochReport| (report.val_accuracy, -report.val_loss);
    let expected = outcome.epochs.iter().max_by(|a, b| worth(a).partial_cmp(&worth(b)).unwrap()).unwrap();
    let last = best.last().unwrap();
    assert_eq!((last.step, last.val_loss), (expected.step, expected.val_loss));
    assert_eq!(marked, last.step);
}

#[test]
fn other_data_and_impossible_steps_are_refused() {
    let (data, mut other) = (data(95, 30), data(95, 30));
    let mut trainer = Trainer::new(gpu(), &model(), &data, options(), None).unwrap();
    go(&mut trainer, &mut Trace::new(), 3);
    let checkpoint = pollster::block_on(trainer.checkpoint()).unwrap();
    let refusal = |checkpoint: &Checkpoint, data: &DataPair| match Trainer::resume(gpu(), checkpoint.clone(), data) {
        Ok(_) => panic!("taken"),
        Err(error) => error.to_string(),
    };
    let mut labels = other.test.labels().to_vec();
    labels[29] ^= 1;
    other.test = other.test.with_labels(labels).unwrap();
    let message = refusal(&checkpoint, &other);
    assert!(message.starts_with("spots: not the data that the run was trained on"), "{message}");
    let mut moved = checkpoint.clone();
    moved.state.progress.step += 1;
    let message = refusal(&moved, &data);
    let step = checkpoint.state.progress.step;
    assert!(message.contains(&format!("expected step {step}, got {}", step + 1)), "{message}");
}

#[test]
fn intervals_are_steps_or_minutes() {
    for (text, expected) in [
        ("500", Interval::Steps(500)),
        ("1step", Interval::Steps(1)),
        ("20steps", Interval::Steps(20)),
        ("10min", Interval::Minutes(10)),
    ] {
        assert_eq!(text.parse(), Ok(expected));
        assert_eq!(expected.to_string().parse(), Ok(expected));
    }
    for wrong in ["", "0", "0min", "-1", "min", "1.5min", "10h", "ten", "1 0", "99999999999999999999999", "5stepss"] {
        assert!(wrong.parse::<Interval>().is_err(), "{wrong}");
    }
}
