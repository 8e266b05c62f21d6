//! Training as a whole: the GPU compared with the CPU, reproducibility of seeds and steps, and how a run ends.

#[path = "common/spots.rs"]
mod spots;

use shadegrad::data::{DataPair, Dataset};
use shadegrad::evaluate::{Predictor, evaluate};
use shadegrad::fast::Instructions;
use shadegrad::machine::{Device, DeviceChoice, Machine, Section};
use shadegrad::network::{CompileOptions, Network, Weights};
use shadegrad::ops::Step;
use shadegrad::ops::softmax::Cost;
use shadegrad::train::{Event, Moments, Optimizer, Outcome, Schedule, Span, StepOptions, TrainOptions, Trainer};
use shadegrad::{Error, Result};
use spots::{MODEL, data, gpu, model, options, set};
use std::ops::ControlFlow;

fn reference() -> Device {
    pollster::block_on(Device::open(&DeviceChoice::Reference)).unwrap()
}

/// A finished run.
struct Run {
    losses: Vec<f64>,
    weights: Weights,
    outcome: Outcome,
}

fn try_train(device: &Device, network: &Network, data: &DataPair, options: TrainOptions) -> Result<Run> {
    let mut losses = Vec::new();
    let mut trainer = Trainer::new(device, network, data, options, None)?;
    let outcome = pollster::block_on(trainer.run(&mut |event| {
        if let Event::Steps(report) = event {
            assert_eq!(report.first_step, losses.len() + 1);
            losses.extend_from_slice(report.losses);
        }
        Ok(ControlFlow::Continue(()))
    }))?;
    let weights = pollster::block_on(trainer.weights())?;
    Ok(Run { losses, weights, outcome })
}

fn train(device: &Device, data: &DataPair, options: TrainOptions) -> Run {
    try_train(device, &model(), data, options).unwrap()
}

/// The largest difference of two weights, and the largest weight.
fn difference(a: &Weights, b: &Weights) -> (f64, f64) {
    let (a, b): (Vec<&f32>, Vec<&f32>) = (a.values.iter().flatten().collect(), b.values.iter().flatten().collect());
    assert_eq!(a.len(), b.len());
    assert!(a.iter().chain(&b).all(|v| v.is_finite()));
    let differences = a.iter().zip(&b).map(|(a, b)| f64::from(**a - **b).abs());
    (differences.fold(0.0, f64::max), b.iter().map(|v| f64::from(v.abs())).fold(0.0, f64::max))
}

/// The CPU with all of its instruction sets, and several numbers of threads for each.
fn cpus() -> Vec<Device> {
    let all = Instructions::all().into_iter().flat_map(|instructions| [1, 3].map(|threads| (instructions, threads)));
    all.map(|(instructions, threads)| Device::cpu(Some(threads), instructions, None).unwrap()).collect()
}

/// Both sides sum f32 terms in different orders, so a gradient, which is below 1, is off by some 4 u. Ten steps of rate
/// 0.1 with momentum 0.9 add their gradients with factors that sum to 4.1, which gives 2e-6. A wrong factor shows up at
/// 1e-3.
#[test]
fn ten_steps_on_every_device_match_the_reference() {
    for nesterov in [false, true] {
        // 95 images are four batches of 20 and one of 15, so two of the ten steps are partial.
        let data = data(95, 30);
        let options = TrainOptions {
            epochs: 2,
            step: StepOptions {
                optimizer: Optimizer::Sgd { momentum: 0.9, nesterov },
                weight_decay: 1e-3,
                ..options().step
            },
            ..options()
        };
        let expected = train(&reference(), &data, options.clone());
        for device in cpus().iter().chain([gpu()]) {
            let name = &device.description;
            let got = train(device, &data, options.clone());
            assert_eq!((got.losses.len(), expected.losses.len()), (10, 10));
            for (step, (got, expected)) in got.losses.iter().zip(&expected.losses).enumerate() {
                let relative = (got - expected).abs() / expected;
                println!("{name}: step {}: {got} and {expected}, {relative:.1e} apart", step + 1);
                assert!(relative <= 1e-5, "{name}: step {}: loss {got}, {expected} of the reference", step + 1);
            }
            let (difference, largest) = difference(&got.weights, &expected.weights);
            println!("{name}: weights up to {largest:.2} differ by {difference:.1e}");
            assert!(difference <= 2e-6, "{name}: weights differ by {difference:e}");
            for (got, expected) in got.outcome.epochs.iter().zip(&expected.outcome.epochs) {
                assert!((got.val_loss - expected.val_loss).abs() <= 1e-5 * expected.val_loss, "{name}");
                assert!((got.train_accuracy - expected.train_accuracy).abs() <= 1.5 / 95.0, "{name}");
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (network, data) = (model(), data(95, 10));
    for instructions in Instructions::all() {
        let bytes = |threads| {
            let device = Device::cpu(Some(threads), instructions, None).unwrap();
            train(&device, &data, options()).weights.to_bytes(&network)
        };
        let one = bytes(1);
        for threads in [1, 2, 3, 7] {
            assert!(one == bytes(threads), "{}: {threads} threads give other weights than one", instructions.name());
        }
    }
    for threads in [0, 1025] {
        let error = Device::cpu(Some(threads), Instructions::best(), None).err().unwrap().to_string();
        assert!(error.contains(&format!("from 1 to 1024 threads, got {threads}")), "{error}");
    }
}

/// Threads that wait for a pass of one network must not start one of the other and so wait for a lock that they hold.
#[test]
fn two_networks_train_on_one_cpu_at_once() {
    let device = Device::cpu(Some(2), Instructions::best(), None).unwrap();
    let (network, data) = (model(), data(400, 10));
    let bytes = || train(&device, &data, options()).weights.to_bytes(&network);
    let alone = bytes();
    std::thread::scope(|scope| {
        let runs = [(); 4].map(|()| scope.spawn(|| (0..5).all(|_| bytes() == alone)));
        assert!(runs.into_iter().all(|run| run.join().unwrap()), "trained together, they give other results");
    });
}

#[test]
fn a_network_overfits_one_batch() {
    for loss in [Cost::CrossEntropy, Cost::Quadratic] {
        let mut data = data(12, 4);
        // Labels are unrelated to the images, so they can only be memorised.
        let labels = (0..12).map(|i| (i * 7 % 12 / 3) as u8).collect();
        data.train = data.train.with_labels(labels).unwrap();
        let text: Vec<&str> = MODEL.split("[[layers]]").filter(|layer| !layer.contains("dropout")).collect();
        let network = Network::from_toml("small", &text.join("[[layers]]").replace("sigmoid", "relu")).unwrap();
        let options = TrainOptions {
            epochs: 140,
            batch_size: 12,
            learning_rate: if loss == Cost::Quadratic { 0.1 } else { 0.05 },
            step: StepOptions { loss: Some(loss), ..options().step },
            ..options()
        };
        let run = try_train(gpu(), &network, &data, options).unwrap();
        println!("{loss:?}: {:?}", run.losses.iter().step_by(10).collect::<Vec<_>>());
        let (first, last) = (run.losses[0], run.losses[139]);
        assert!(first > 0.3, "{loss:?}: learned already: {first}");
        assert!(last < 0.05, "{loss:?}: the loss of one batch is still {last}");
        assert_eq!(run.outcome.epochs[139].train_accuracy, 1.0);
    }
}

#[test]
fn one_seed_gives_equal_bytes() {
    let (network, data) = (model(), data(60, 10));
    let bytes = |seed| train(gpu(), &data, TrainOptions { seed, ..options() }).weights.to_bytes(&network);
    let first = bytes(5);
    assert!(first == bytes(5), "two runs with one seed differ");
    assert!(first != bytes(6), "another seed gives the same weights");
    assert!(first != bytes(5 | 1 << 32), "the seed's high half is ignored");
}

#[test]
fn steps_in_one_submit_are_the_same_steps() {
    let (network, data) = (model(), data(300, 10));
    let run = |every_step| {
        let run = train(gpu(), &data, TrainOptions { every_step, epochs: 2, ..options() });
        let epochs: Vec<_> =
            run.outcome.epochs.iter().map(|e| (e.train_loss.to_bits(), e.val_loss.to_bits())).collect();
        ((run.losses, epochs), run.weights.to_bytes(&network))
    };
    let (one_by_one, together) = (run(true), run(false));
    assert_eq!((one_by_one.0.0.len(), one_by_one.0.1.len()), (30, 2));
    assert_eq!(one_by_one.0, together.0);
    assert!(one_by_one.1 == together.1, "the steps of a submit are not those that run alone");
}

#[test]
fn the_last_partial_batch_is_trained_on() {
    let data = data(101, 10);
    let options = TrainOptions { batch_size: 100, shuffle: false, ..options() };
    let whole = train(gpu(), &data, options.clone());
    assert_eq!((whole.losses.len(), whole.outcome.epochs[0].step), (2, 2));
    let shortened = train(gpu(), &data, TrainOptions { max_steps: Some(1), ..options });
    assert_eq!((shortened.losses.len(), shortened.outcome.epochs[0].step), (1, 1));
    assert_eq!(whole.losses[0], shortened.losses[0]);
    assert!(whole.weights != shortened.weights, "the 101st image changed nothing");
    // The mean over images, not over steps.
    let epoch = &whole.outcome.epochs[0];
    let mean = (whole.losses[0] * 100.0 + whole.losses[1]) / 101.0;
    assert!((epoch.train_loss - mean).abs() < 1e-6, "{} is not {mean}", epoch.train_loss);
}

/// The gradient of one step with `count` images on a machine with batches of `batch`, and the loss of the step.
fn gradient(network: &Network, set: &Dataset, batch: usize, count: usize) -> (Vec<f32>, f32) {
    let images = set.len();
    let compile = CompileOptions { batch, train_images: images, ..CompileOptions::default() };
    let mut machine = Machine::new(gpu(), network.compile(&compile).unwrap()).unwrap();
    let tensors = machine.compiled.tensors.clone();
    for (id, values) in tensors.parameters.iter().zip(network.initialize(3).values) {
        machine.write(*id, &values);
    }
    let train = tensors.train.unwrap();
    machine.write_bytes(train.images, set.images());
    machine.write_int(train.labels, &set.labels().iter().map(|label| u32::from(*label)).collect::<Vec<_>>());
    machine.write_int(train.order, &(0..images as u32).rev().collect::<Vec<_>>());
    let step = |first, count| Step { seed_low: 9, first, count, learning_rate: 0.0, ..Step::default() };
    // A full step first, so that the rows after the partial batch are not empty.
    machine.run(Section::Train, &[step(0, batch as u32), step(4, count as u32)]).unwrap();
    let whole = tensors.gradients.unwrap();
    let len = machine.compiled.plan.get(whole).region.len;
    let gradient = pollster::block_on(machine.read(whole, 0..len)).unwrap();
    let loss = pollster::block_on(machine.read(tensors.scores.unwrap().losses, 0..1)).unwrap()[0];
    (gradient, loss / count as f32)
}

/// Sums of at most 3 x 90 terms, with a total below 1, in another order: 2 u.
#[test]
fn a_partial_batch_has_the_gradient_of_its_images() {
    let (network, set) = (model(), set("train", 12, 3));
    let (partial, partial_loss) = gradient(&network, &set, 7, 3);
    let (exact, exact_loss) = gradient(&network, &set, 3, 3);
    let (full, _) = gradient(&network, &set, 7, 7);
    let apart = |other: &[f32]| partial.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, |a: f32, b| a.max(b));
    println!("{:.1e} from its images, {:.1e} from a full batch", apart(&exact), apart(&full));
    assert!(partial.iter().all(|v| v.is_finite()) && partial.iter().any(|v| v.abs() > 1e-3));
    assert!(apart(&exact) <= 2e-7, "gradients of 3 images differ by {}", apart(&exact));
    assert!(apart(&full) > 1e-3, "the gradient of 3 images is that of 7");
    assert!((partial_loss - exact_loss).abs() <= 1e-6);
}

#[test]
fn the_reported_validation_matches_evaluating_the_saved_weights() {
    let (network, data) = (model(), data(200, 130));
    let mut trainer = Trainer::new(gpu(), &network, &data, TrainOptions { epochs: 3, ..options() }, None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let outcome = pollster::block_on(trainer.run(&mut |event| {
        if let Event::Epoch(report, weights) = event {
            weights.save(&network, &path)?;
            let (opened, weights) = Weights::open(&path)?;
            let evaluation = pollster::block_on(evaluate(gpu(), &opened, &weights, &data.test))?;
            assert_eq!(evaluation.images(), 130);
            assert_eq!(evaluation.accuracy(), report.val_accuracy, "epoch {}", report.epoch);
            let apart = (evaluation.loss - report.val_loss).abs();
            assert!(apart <= 1e-5 * report.val_loss, "{} is not {}", evaluation.loss, report.val_loss);
        }
        Ok(ControlFlow::Continue(()))
    }))
    .unwrap();
    let last = outcome.epochs.last().unwrap();
    println!("{:?}", outcome.epochs.iter().map(|e| (e.val_accuracy, e.val_loss)).collect::<Vec<_>>());
    assert_eq!(outcome.evaluation.unwrap().accuracy(), last.val_accuracy);
    assert!(last.val_accuracy > 0.6, "nothing was learned: {}", last.val_accuracy);
}

#[test]
fn training_continues_from_given_weights() {
    let (network, data) = (model(), data(60, 10));
    let options = TrainOptions {
        shuffle: false,
        max_steps: Some(1),
        step: StepOptions { optimizer: Optimizer::sgd(0.0), ..options().step },
        ..options()
    };
    let first = train(gpu(), &data, options.clone());
    let start = |weights: Option<&Weights>| {
        let mut trainer = Trainer::new(gpu(), &network, &data, options.clone(), weights).unwrap();
        pollster::block_on(trainer.weights()).unwrap()
    };
    assert_eq!(start(Some(&first.weights)), first.weights);
    assert_eq!(start(None), network.initialize(options.seed));
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run() {
    // Two layers that amplify each other, with labels that cannot be learned.
    let text = "input = [10, 9, 2]\n[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 8\n\
                [[layers]]\ntype = 'dense'\nunits = 8\n[[layers]]\ntype = 'dense'\nunits = 4\n";
    let network = Network::from_toml("linear", text).unwrap();
    let mut data = data(100, 10);
    let mut labels = data.train.labels().to_vec();
    labels.rotate_left(1);
    data.train = data.train.with_labels(labels).unwrap();
    for every_step in [true, false] {
        let options = TrainOptions { epochs: 20, learning_rate: 1000.0, every_step, ..options() };
        match try_train(gpu(), &network, &data, options) {
            Err(Error::NotFinite(message)) => {
                println!("{message}");
                let step = message.strip_prefix("the loss of step ").and_then(|rest| rest.split_once(' '));
                let step: usize = step.unwrap_or_else(|| panic!("{message}")).0.parse().unwrap();
                assert!((2..=100).contains(&step), "{message}");
                assert!(
                    message.contains("learning rate 1000") && message.contains("try a smaller learning rate"),
                    "{message}"
                );
            }
            Err(other) => panic!("another error: {other}"),
            Ok(run) => panic!("it went well: {:?}", run.losses),
        }
    }
}

#[test]
fn the_observer_ends_the_run() {
    let (network, data) = (model(), data(100, 10));
    let run = |ends: fn(&Event<'_>) -> bool| {
        let options = TrainOptions { epochs: 3, every_step: true, ..options() };
        let mut trainer = Trainer::new(gpu(), &network, &data, options, None).unwrap();
        let mut steps = 0;
        let outcome = pollster::block_on(trainer.run(&mut |event| {
            if let Event::Steps(report) = &event {
                steps += report.losses.len();
            }
            Ok(if ends(&event) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        }))
        .unwrap();
        (outcome.interrupted, outcome.epochs.len(), steps)
    };
    assert_eq!(run(|_| false), (false, 3, 15));
    assert_eq!(run(|event| matches!(event, Event::Steps(_))), (true, 0, 1));
    assert_eq!(run(|event| matches!(event, Event::Steps(report) if report.first_step == 7)), (true, 1, 7));
    assert_eq!(run(|event| matches!(event, Event::Epoch(report, _) if report.epoch == 2)), (true, 2, 10));
    let mut trainer = Trainer::new(gpu(), &network, &data, options(), None).unwrap();
    let failed = pollster::block_on(trainer.run(&mut |_| Err(Error::Interrupted)));
    assert!(matches!(failed, Err(Error::Interrupted)), "the observer's error is lost");
}

/// Softmax of sums of at most 90 terms: some tens of u relative to 1.
#[test]
fn predictions_on_every_device_match_the_reference() {
    let (network, data) = (model(), data(200, 10));
    let weights = train(gpu(), &data, TrainOptions { epochs: 3, ..options() }).weights;
    let mut reference = Predictor::new(&reference(), &network, &weights).unwrap();
    for device in cpus().iter().chain([gpu()]) {
        let mut predictor = Predictor::new(device, &network, &weights).unwrap();
        let mut answers = Vec::new();
        for index in 0..data.test.len() {
            let image = data.test.image(index);
            let [got, expected] = [&mut predictor, &mut reference].map(|one| pollster::block_on(one.predict(image)));
            let (got, expected) = (got.unwrap(), expected.unwrap());
            assert_eq!(got.len(), 4);
            assert!((got.iter().sum::<f32>() - 1.0).abs() <= 1e-6, "{got:?}");
            for (got, expected) in got.iter().zip(&expected) {
                assert!((got - expected).abs() <= 1e-5, "{got} on {}, expected {expected}", device.description);
            }
            answers.push(got);
        }
        assert!(answers.iter().any(|other| (other[0] - answers[0][0]).abs() > 1e-2), "one answer for all: {answers:?}");
        let error = pollster::block_on(predictor.predict(&[0; 7])).unwrap_err().to_string();
        assert!(error.contains("180 bytes (10 x 9 x 2), got 7"), "{error}");
    }
}

#[test]
fn options_outside_their_range_are_refused() {
    let refuse = |text: &str, change: &dyn Fn(&mut TrainOptions)| {
        let mut options = options();
        change(&mut options);
        let error = options.validate().expect_err(text).to_string();
        assert!(error.starts_with(text), "{error}");
        assert!(Trainer::new(gpu(), &model(), &data(4, 4), options, None).is_err(), "{text}: accepted by the trainer");
    };
    options().validate().unwrap();
    refuse("epochs", &|o| o.epochs = 0);
    refuse("batch_size", &|o| o.batch_size = 0);
    refuse("batch_size", &|o| o.batch_size = 65_537);
    for rate in [0.0, -1.0, 1000.1, f32::NAN, f32::INFINITY] {
        refuse("learning_rate", &|o| o.learning_rate = rate);
    }
    for momentum in [1.0, -0.1, f32::NAN] {
        refuse("momentum", &|o| o.step.optimizer = Optimizer::sgd(momentum));
    }
    refuse("weight_decay", &|o| o.step.weight_decay = -1e-6);
    refuse("nesterov", &|o| o.step.optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: true });
    let adam = |beta1, beta2, epsilon| Optimizer::Adam(Moments { beta1, beta2, epsilon });
    for beta in [1.0, -0.1, f32::NAN] {
        refuse("beta1", &|o| o.step.optimizer = adam(beta, 0.9, 0.1));
        refuse("beta2", &|o| o.step.optimizer = adam(0.9, beta, 0.1));
    }
    refuse("label_smoothing", &|o| o.step.label_smoothing = 1.0);
    refuse("label_smoothing", &|o| o.step.label_smoothing = f32::NAN);
    for norm in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        refuse("clip_norm", &|o| o.step.clip_norm = Some(norm));
    }
    for ema in [0.0, 1.0, f32::NAN] {
        refuse("ema", &|o| o.step.ema = Some(ema));
    }
    refuse("patience", &|o| o.patience = Some(0));
    refuse("epsilon", &|o| o.step.optimizer = adam(0.9, 0.9, f32::NAN));
    refuse("max_steps", &|o| o.max_steps = Some(0));
    for gamma in [0.0, 1.1, f64::NAN] {
        refuse("gamma", &|o| o.schedule = Schedule::Step { size: 1, gamma });
    }
    refuse("step_size", &|o| o.schedule = Schedule::Step { size: 0, gamma: 0.1 });
    refuse("end_factor", &|o| o.schedule = Schedule::Cosine { end_factor: -0.1 });
    let cycle = |peak_at, start_factor, end_factor| Schedule::OneCycle { peak_at, start_factor, end_factor };
    refuse("peak_at", &|o| o.schedule = cycle(1.0, 0.1, 0.1));
    refuse("start_factor", &|o| o.schedule = cycle(0.3, f64::NAN, 0.1));
    refuse("end_factor", &|o| o.schedule = cycle(0.3, 0.1, 1.5));
    refuse("warmup", &|o| o.warmup = Some(Span::Steps(0)));
}

#[test]
fn data_that_does_not_fit_is_refused() {
    let mut wrong_shape = data(4, 4);
    let test = wrong_shape.test;
    wrong_shape.test =
        Dataset::new(test.images().to_vec(), test.labels().to_vec(), [9, 10, 2], 4).unwrap().named("test");
    let mut wrong_classes = data(4, 4);
    let train = wrong_classes.train;
    wrong_classes.train =
        Dataset::new(train.images().to_vec(), train.labels().to_vec(), train.shape(), 5).unwrap().named("train");
    let mut nothing = data(4, 4);
    nothing.train = nothing.train.take(0);
    let error = |data: &DataPair| match Trainer::new(gpu(), &model(), data, options(), None) {
        Ok(_) => panic!("taken"),
        Err(error) => error.to_string(),
    };
    assert_eq!(error(&wrong_shape), "network `small` expects images of 10x9x2, but the test set has 9x10x2");
    assert_eq!(error(&wrong_classes), "network `small` has 4 classes, but the train set has 5");
    assert!(error(&nothing).contains("must not be empty"));
}
