//! Training options other than plain gradient descent: every device takes the same steps as the reference.

#[path = "common/spots.rs"]
mod spots;

use shadegrad::evaluate::evaluate;
use shadegrad::fast::Instructions;
use shadegrad::machine::{Device, DeviceChoice};
use shadegrad::network::Weights;
use shadegrad::ops::softmax::Cost;
use shadegrad::train::{Event, Interval, Moments, Optimizer, Schedule, Span, StepOptions, TrainOptions, Trainer};
use spots::{data, gpu, model, options};
use std::ops::ControlFlow;

/// Losses and weights of a run.
fn train(device: &Device, options: &TrainOptions) -> (Vec<f64>, Weights) {
    let data = data(95, 30);
    let mut losses = Vec::new();
    let mut trainer = Trainer::new(device, &model(), &data, options.clone(), None).unwrap();
    let outcome = pollster::block_on(trainer.run(&mut |event| {
        if let Event::Steps(report) = event {
            losses.extend_from_slice(report.losses);
        }
        Ok(ControlFlow::Continue(()))
    }));
    outcome.unwrap();
    (losses, pollster::block_on(trainer.weights()).unwrap())
}

fn apart(a: &Weights, b: &Weights) -> f64 {
    let pairs = a.values.iter().flatten().zip(b.values.iter().flatten());
    pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, |most, apart| if apart <= most { most } else { apart })
}

/// The CPU engine with its fastest vector instructions, with one thread and with several.
fn cpus() -> Vec<Device> {
    let all = Instructions::all().into_iter().flat_map(|instructions| [1, 3].map(|threads| (instructions, threads)));
    all.map(|(instructions, threads)| Device::cpu(Some(threads), instructions, None).unwrap()).collect()
}

/// Ten steps on every device stay within `most` of the reference, and differ from plain steps.
fn ten_steps(options: TrainOptions, plain: &TrainOptions, most: f64) {
    let reference = pollster::block_on(Device::open(&DeviceChoice::Reference)).unwrap();
    let (expected_losses, expected) = train(&reference, &options);
    assert_eq!(expected_losses.len(), 10);
    let moved = apart(&train(&reference, plain).1, &expected);
    assert!(moved > 100.0 * most, "{options:?} changes the weights by {moved:e} only");
    for device in cpus().iter().chain([gpu()]) {
        let (losses, weights) = train(device, &options);
        let difference = apart(&weights, &expected);
        println!("{}: {difference:.1e} of {most:.1e}", device.description);
        assert!(difference <= most, "{}: weights differ by {difference:e}", device.description);
        for (got, expected) in losses.iter().zip(&expected_losses) {
            assert!((got - expected).abs() <= 1e-5 * expected, "{}: loss {got}, {expected}", device.description);
        }
    }
}

fn plain() -> TrainOptions {
    TrainOptions { epochs: 2, step: StepOptions { weight_decay: 1e-3, ..options().step }, ..options() }
}

/// The bound is that of `tests/training.rs`, whose learning rate is the largest one used here.
#[test]
fn schedules() {
    let cycle = Schedule::OneCycle { peak_at: 0.3, start_factor: 0.04, end_factor: 4e-6 };
    for schedule in [Schedule::Step { size: 1, gamma: 0.1 }, Schedule::Cosine { end_factor: 0.0 }, cycle] {
        ten_steps(TrainOptions { schedule, ..plain() }, &plain(), 2e-6);
    }
    ten_steps(TrainOptions { warmup: Some(Span::Steps(5)), ..plain() }, &plain(), 2e-6);
}

/// A step of Adam is hardly longer than the learning rate, however small the gradient. If a gradient is only rounding,
/// with a different sign on each side, ten steps could differ by 20 learning rates. An epsilon above that rounding
/// keeps both close: gradients are off by some 4 u relative to 1, so a step is off by that over epsilon, times the
/// learning rate.
#[test]
fn adam() {
    let moments = Moments { epsilon: 1e-3, ..Moments::default() };
    for optimizer in [Optimizer::Adam(moments), Optimizer::AdamW(moments)] {
        let step = StepOptions { optimizer, weight_decay: 0.1, ..plain().step };
        let options = TrainOptions { learning_rate: 0.01, step, ..plain() };
        ten_steps(options, &plain(), 10.0 * 0.01 * 5e-7 / 1e-3);
    }
}

/// With the corrections, the first step equals the learning rate wherever there is a significant gradient, and the next
/// is about as long; without them it would be three times as long.
#[test]
fn the_first_steps_of_adam_are_as_long_as_the_rate() {
    let options = TrainOptions {
        learning_rate: 0.01,
        step: StepOptions { optimizer: Optimizer::adam(), ..options().step },
        ..options()
    };
    let start = model().initialize(options.seed);
    for device in cpus().iter().chain([gpu()]) {
        let after = |steps| train(device, &TrainOptions { max_steps: Some(steps), ..options.clone() }).1;
        let (first, second) = (after(1), after(2));
        let steps = [apart(&first, &start), apart(&second, &first)].map(|longest| longest / 0.01);
        assert!((steps[0] - 1.0).abs() < 1e-3, "{}: {steps:?}", device.description);
        assert!((0.7..1.4).contains(&steps[1]), "{}: {steps:?}", device.description);
    }
}

/// Ten steps with usual settings reduce the loss.
#[test]
fn adam_learns() {
    let options = TrainOptions {
        learning_rate: 0.01,
        epochs: 8,
        step: StepOptions { optimizer: Optimizer::adamw(), weight_decay: 0.01, ..options().step },
        ..options()
    };
    let (losses, _) = train(gpu(), &options);
    println!("{losses:?}");
    assert!(losses[35..].iter().all(|loss| *loss < 0.5 * losses[0]), "{losses:?}");
}

/// Applies to training only; the validation loss has hard targets, so that equal weights have the same loss in any run.
#[test]
fn label_smoothing() {
    ten_steps(TrainOptions { step: StepOptions { label_smoothing: 0.2, ..plain().step }, ..plain() }, &plain(), 2e-6);
    let still = |label_smoothing| {
        let options = TrainOptions {
            learning_rate: 1e-30,
            step: StepOptions { optimizer: Optimizer::sgd(0.0), label_smoothing, ..options().step },
            ..options()
        };
        let (data, network) = (data(95, 30), model());
        let mut trainer = Trainer::new(gpu(), &network, &data, options, None).unwrap();
        let outcome = pollster::block_on(trainer.run(&mut |_| Ok(ControlFlow::Continue(())))).unwrap();
        (outcome.epochs[0].train_loss, outcome.epochs[0].val_loss)
    };
    let ((hard_train, hard_val), (smooth_train, smooth_val)) = (still(0.0), still(0.5));
    assert_eq!(hard_val, smooth_val);
    assert!((hard_train - smooth_train).abs() > 1e-3, "{hard_train} {smooth_train}");
}

#[test]
fn label_smoothing_needs_cross_entropy() {
    let options = TrainOptions {
        step: StepOptions { label_smoothing: 0.1, loss: Some(Cost::Quadratic), ..options().step },
        ..options()
    };
    let data = data(95, 30);
    let error = Trainer::new(gpu(), &model(), &data, options, None).err().unwrap().to_string();
    assert!(error.starts_with("label_smoothing belongs to loss cross-entropy"), "{error}");
}

/// The bounds are those without clipping, which makes steps smaller.
#[test]
fn clipping() {
    for clip_norm in [Some(0.5), Some(0.01)] {
        ten_steps(TrainOptions { step: StepOptions { clip_norm, ..plain().step }, ..plain() }, &plain(), 2e-6);
    }
    let adam = TrainOptions {
        learning_rate: 0.01,
        step: StepOptions {
            optimizer: Optimizer::Adam(Moments { epsilon: 1e-3, ..Moments::default() }),
            ..plain().step
        },
        ..plain()
    };
    ten_steps(
        TrainOptions { step: StepOptions { clip_norm: Some(0.1), ..adam.step }, ..adam.clone() },
        &adam,
        10.0 * 0.01 * 5e-7 / 1e-3,
    );
    // A limit that no gradient reaches gives a scale of 1, which changes nothing; but a hardware driver may contract
    // `scale * d + decay * w` differently from `d + decay * w`.
    let far = TrainOptions { step: StepOptions { clip_norm: Some(1e6), ..plain().step }, ..plain() };
    let differ = |device: &Device| apart(&train(device, &far).1, &train(device, &plain()).1);
    assert!(cpus().iter().all(|cpu| differ(cpu) == 0.0));
    let most = if gpu().gpu().unwrap().is_software() { 0.0 } else { 2e-6 };
    assert!(differ(gpu()) <= most, "{}: {:e}", gpu().description, differ(gpu()));
}

/// Plain gradient descent moves the weights by at most the learning rate times the norm.
#[test]
fn a_clipped_step_is_as_long_as_it_may_be() {
    let start = model().initialize(options().seed);
    let step = |clip_norm| {
        let options = TrainOptions {
            max_steps: Some(1),
            learning_rate: 0.5,
            step: StepOptions { optimizer: Optimizer::sgd(0.0), clip_norm, ..options().step },
            ..options()
        };
        let (_, weights) = train(gpu(), &options);
        let moved = weights.values.iter().flatten().zip(start.values.iter().flatten());
        moved.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt() / 0.5
    };
    let free = step(None);
    println!("norm {free}");
    for most in [free / 2.0, free / 10.0] {
        let norm = step(Some(most as f32));
        assert!((norm / most - 1.0).abs() < 1e-4, "{norm}, {most} asked for");
    }
}

/// Compared with the formula, from the weights after each step; and on every device within the bound of the weights,
/// whose mean it is.
#[test]
fn averages() {
    const DECAY: f64 = 0.8;
    let options =
        TrainOptions { every_step: true, step: StepOptions { ema: Some(DECAY as f32), ..plain().step }, ..plain() };
    let data = data(95, 30);
    let reference = pollster::block_on(Device::open(&DeviceChoice::Reference)).unwrap();
    for device in cpus().iter().chain([gpu(), &reference]) {
        let network = model();
        let mut expected: Vec<f64> = flat(&network.initialize(options.seed));
        let every = TrainOptions { checkpoint_every: Some(Interval::Steps(1)), ..options.clone() };
        let mut trainer = Trainer::new(device, &network, &data, every, None).unwrap();
        let mut steps = 0;
        let outcome = pollster::block_on(trainer.run(&mut |event| {
            if let Event::Checkpoint(checkpoint) = event {
                steps += 1;
                let weights = flat(&checkpoint.state.weights);
                let n = (steps - 1) as f64;
                let decay = DECAY.min((1.0 + n) / (10.0 + n));
                expected.iter_mut().zip(&weights).for_each(|(a, w)| *a = decay * *a + (1.0 - decay) * w);
                let got = flat(checkpoint.state.model());
                let apart = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(apart <= 1e-6, "{}: {apart:e} apart after step {steps}", device.description);
                assert!(got != weights && checkpoint.state.progress.step == steps);
            }
            Ok(ControlFlow::Continue(()))
        }));
        assert_eq!((outcome.unwrap().epochs.len(), steps), (2, 10));
    }
    // The weights do not depend on their average, and the average is evaluated.
    let run = |ema| {
        let mut trainer = Trainer::new(
            gpu(),
            &model(),
            &data,
            TrainOptions { step: StepOptions { ema, ..plain().step }, ..plain() },
            None,
        )
        .unwrap();
        let outcome = pollster::block_on(trainer.run(&mut |_| Ok(ControlFlow::Continue(())))).unwrap();
        let checkpoint = pollster::block_on(trainer.checkpoint()).unwrap();
        let judged = pollster::block_on(evaluate(gpu(), &model(), checkpoint.state.model(), &data.test)).unwrap();
        let val_loss = outcome.epochs[1].val_loss;
        assert!((judged.loss - val_loss).abs() <= 1e-5 * val_loss, "{} is not {val_loss}", judged.loss);
        (checkpoint.state.weights, val_loss)
    };
    let ((plain_weights, plain_loss), (weights, loss)) = (run(None), run(Some(0.8)));
    assert!(plain_weights == weights && (plain_loss - loss).abs() > 1e-4, "{plain_loss} {loss}");
}

fn flat(weights: &Weights) -> Vec<f64> {
    weights.values.iter().flatten().map(|value| f64::from(*value)).collect()
}

/// The run ends the number of epochs given by patience after its lowest validation loss, and a resumed run ends where
/// it would have ended anyway.
#[test]
fn patience() {
    let (network, data) = (model(), data(95, 30));
    // The learning rate is too high to reduce the loss for long.
    let options = TrainOptions { epochs: 40, learning_rate: 0.4, ..options() };
    let run = |trainer: &mut Trainer<'_>, until: usize| {
        let mut losses = Vec::new();
        let outcome = pollster::block_on(trainer.run(&mut |event| {
            if let Event::Epoch(report, _) = event {
                losses.push(report.val_loss);
                return Ok(if report.epoch == until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
            }
            Ok(ControlFlow::Continue(()))
        }));
        outcome.unwrap();
        losses
    };
    let device = Device::cpu(Some(2), Instructions::best(), None).unwrap();
    let new = |options: TrainOptions| Trainer::new(&device, &network, &data, options, None).unwrap();
    let all = run(&mut new(options.clone()), usize::MAX);
    assert_eq!(all.len(), 40);
    for patience in [1, 2, 3] {
        let options = TrainOptions { patience: Some(patience), ..options.clone() };
        let (mut lowest, mut end) = (0, all.len());
        for epoch in 0..all.len() {
            if all[epoch] < all[lowest] {
                lowest = epoch;
            } else if epoch - lowest == patience {
                end = epoch + 1;
                break;
            }
        }
        assert!((2..40).contains(&end), "patience {patience} decides nothing: {all:?}");
        let mut trainer = new(options.clone());
        assert_eq!(run(&mut trainer, usize::MAX), all[..end], "patience {patience}");
        let stopped = trainer.stopped_early().unwrap();
        assert_eq!((stopped.epoch, stopped.val_loss), (lowest + 1, all[lowest]));
        assert!(trainer.is_finished());
        for until in [1, end - 1] {
            let mut first = new(options.clone());
            run(&mut first, until);
            let checkpoint = pollster::block_on(first.checkpoint()).unwrap();
            let mut second = Trainer::resume(&device, checkpoint, &data).unwrap();
            assert_eq!(run(&mut second, usize::MAX), all[until..end], "patience {patience}, resumed after {until}");
        }
    }
}
