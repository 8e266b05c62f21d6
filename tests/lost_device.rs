//! Losing the device in the middle of a run costs time but does not change the result.
//!
//! `SHADEGRAD_TEST_LOSSES` sets how often a device is destroyed; the default is 4, and recorded results use 10.

#[path = "common/spots.rs"]
mod spots;

use shadegrad::Error;
use shadegrad::data::DataPair;
use shadegrad::machine::Device;
use shadegrad::ops::augment::Augment;
use shadegrad::train::{Event, Interval, StepOptions, TrainOptions, Trainer};
use spots::{data, model, options};
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 20 steps per epoch.
const STEPS: usize = 60;

fn three_epochs() -> TrainOptions {
    TrainOptions {
        epochs: 3,
        checkpoint_every: Some(Interval::Steps(7)),
        step: StepOptions { augment: Some(Augment::DIGITS), ..options().step },
        ..options()
    }
}

/// A separate device, which can be destroyed without affecting others.
fn open() -> Device {
    let name = std::env::var("SHADEGRAD_TEST_DEVICE").unwrap_or("auto".into());
    pollster::block_on(Device::open(&name.parse().unwrap())).unwrap()
}

fn destroy(device: &Device) {
    device.gpu().expect("no GPU driver").destroy();
}

/// The results of a run: losses, epoch reports and weights; and how often the device was lost.
type End = ((Vec<f64>, Vec<[u64; 3]>, Vec<u8>), usize);

/// Trains to the end; `meanwhile` receives every event together with the current device.
fn run(
    device: Device,
    data: &DataPair,
    options: TrainOptions,
    mut meanwhile: impl FnMut(&Event<'_>, &Device),
) -> Result<End, Error> {
    let mut trainer = Trainer::new(&device, &model(), data, options, None)?;
    let (mut losses, mut epochs, mut lost, mut now) = (Vec::new(), Vec::new(), 0, device);
    pollster::block_on(trainer.run(&mut |event| {
        match &event {
            Event::Steps(report) => {
                assert_eq!(report.first_step, losses.len() + 1, "a step is reported twice, or not at all");
                losses.extend(report.losses);
            }
            Event::Epoch(report, _) => {
                epochs.push([report.train_loss, report.val_loss, report.val_accuracy].map(f64::to_bits));
            }
            Event::Recovery(recovery) => {
                println!("{} (steps a submit: {})", recovery.problem, recovery.most_steps);
                lost += 1;
                assert_eq!(recovery.times, lost);
                assert!(recovery.step <= losses.len());
                now = recovery.device.clone();
            }
            Event::Checkpoint(_) => {}
        }
        meanwhile(&event, &now);
        Ok(ControlFlow::Continue(()))
    }))?;
    let weights = pollster::block_on(trainer.weights())?.to_bytes(&model());
    Ok(((losses, epochs, weights), lost))
}

fn losses() -> usize {
    std::env::var("SHADEGRAD_TEST_LOSSES").map_or(4, |text| text.parse().unwrap())
}

fn random() -> impl FnMut(usize) -> usize {
    let mut state = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as usize % below
    }
}

#[test]
fn a_device_destroyed_after_a_step_changes_nothing() {
    let data = data(400, 30);
    let (expected, _) = run(open(), &data, three_epochs(), |_, _| ()).unwrap();
    assert_eq!((expected.0.len(), expected.1.len()), (STEPS, 3));
    let mut random = random();
    for _ in 0..losses() {
        let (at, mut done) = (1 + random(STEPS), false);
        let (got, lost) = run(open(), &data, three_epochs(), |event, device| {
            if let Event::Recovery(recovery) = event {
                assert!(recovery.step + 7 >= at, "from step {} on, destroyed after {at}", recovery.step);
            }
            if let Event::Steps(report) = event
                && !done
                && report.first_step + report.losses.len() > at
            {
                done = true;
                destroy(device);
            }
        })
        .unwrap();
        println!("destroyed after step {at}");
        assert_eq!(lost, 1, "destroyed after step {at}");
        assert!(got == expected, "destroyed after step {at}: the run ends with other results");
    }
}

/// At any moment: while work is submitted, waited for, read back, or compiled.
#[test]
fn a_device_destroyed_at_any_time_changes_nothing() {
    let data = data(400, 30);
    let (expected, _) = run(open(), &data, three_epochs(), |_, _| ()).unwrap();
    let mut random = random();
    let mut struck = 0;
    for _ in 0..losses() {
        let (device, pause) = (open(), Duration::from_micros(random(400_000) as u64));
        let doomed = device.clone();
        let mut began = None;
        let got = run(device, &data, three_epochs(), |_, _| {
            let doomed = doomed.clone();
            began.get_or_insert_with(|| {
                std::thread::spawn(move || {
                    std::thread::sleep(pause);
                    destroy(&doomed);
                })
            });
        });
        began.unwrap().join().unwrap();
        // After the end, when the weights are read, there is no recovery any more.
        match got {
            Ok((got, lost)) => {
                struck += lost;
                println!("destroyed after {pause:?}, lost {lost} times");
                assert!(got == expected, "destroyed after {pause:?}: the run ends with other results");
            }
            Err(Error::DeviceLost(problem)) => println!("destroyed after {pause:?}, at the end: {problem}"),
            Err(other) => panic!("destroyed after {pause:?}: {other}"),
        }
    }
    println!("{struck} times within the run");
}

#[test]
fn the_work_of_a_submit_is_halved_and_the_fourth_loss_is_the_last() {
    let data = data(400, 30);
    let (mut told, mut most) = (0, Vec::new());
    let options = TrainOptions { epochs: 100, checkpoint_every: None, ..three_epochs() };
    let error = run(open(), &data, options, |event, device| {
        match event {
            // Late enough for submits to have grown.
            Event::Steps(report) => {
                told += 1;
                assert!(
                    most.last().is_none_or(|most| report.losses.len() <= *most),
                    "{} of {most:?}",
                    report.losses.len()
                );
                if told % 20 == 0 {
                    destroy(device);
                }
            }
            Event::Recovery(recovery) => most.push(recovery.most_steps),
            _ => {}
        }
    });
    let message = error.err().unwrap().to_string();
    assert!(message.contains("was lost") && message.ends_with("already reopened 3 times in this run"), "{message}");
    assert_eq!(most.len(), 3);
    assert!(most[0] > most[1] || most[0] == 1, "{most:?}");
    assert!(most.is_sorted_by(|a, b| a >= b) && most[2] >= 1, "{most:?}");
}
