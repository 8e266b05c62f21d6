//! Networks with batch_norm: running statistics are updated correctly on every device, and no optimizer touches them.

#[path = "common/spots.rs"]
mod spots;

use shadegrad::data::{DataPair, Dataset};
use shadegrad::evaluate::Predictor;
use shadegrad::fast::Instructions;
use shadegrad::machine::{Device, DeviceChoice};
use shadegrad::network::{Network, Weights};
use shadegrad::train::Checkpoint;
use shadegrad::train::{Event, Moments, Optimizer, StepOptions, TrainOptions, Trainer};
use spots::{data, gpu, options};
use std::ops::ControlFlow;

/// Batch norms after a convolution, a flatten and a dense layer; numbers of channels with and without a factor of four.
const NETWORK: &str = r#"
input = [10, 9, 2]
[[layers]]
type = "conv2d"
filters = 6
kernel = 3
[[layers]]
type = "batch_norm"
activation = "relu"
[[layers]]
type = "max_pool2d"
size = 2
[[layers]]
type = "flatten"
[[layers]]
type = "batch_norm"
[[layers]]
type = "dense"
units = 8
[[layers]]
type = "batch_norm"
momentum = 0.3
activation = "tanh"
[[layers]]
type = "dense"
units = 4
"#;

/// A batch norm of the images themselves, so that its running statistics depend on them alone.
const FIRST: &str = "input = [10, 9, 2]\n[[layers]]\ntype = 'batch_norm'\nmomentum = 0.25\n\
                     [[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 4\n";

fn network(text: &str) -> Network {
    Network::from_toml("test", text).unwrap()
}

fn devices() -> Vec<Device> {
    let cpu = |threads| Device::cpu(Some(threads), Instructions::best(), None).unwrap();
    vec![cpu(1), cpu(3), gpu().clone()]
}

fn train(device: &Device, network: &Network, data: &DataPair, options: &TrainOptions) -> (Vec<f64>, Weights) {
    let mut trainer = Trainer::new(device, network, data, options.clone(), None).unwrap();
    let mut losses = Vec::new();
    let outcome = pollster::block_on(trainer.run(&mut |event| {
        if let Event::Steps(report) = event {
            losses.extend_from_slice(report.losses);
        }
        Ok(ControlFlow::Continue(()))
    }));
    outcome.unwrap();
    (losses, pollster::block_on(trainer.weights()).unwrap())
}

/// As in `training.rs`: the relative error of a step's gradient is some u, here amplified by a division by standard
/// deviations that start near 0.1; ten steps of rate 0.02 keep the error below 1e-4. A wrong factor shows up at 1e-2.
#[test]
fn ten_steps_on_every_device_match_the_reference() {
    let reference = pollster::block_on(Device::open(&DeviceChoice::Reference)).unwrap();
    let (network, data) = (network(NETWORK), data(95, 30));
    let plain = TrainOptions {
        epochs: 2,
        learning_rate: 0.02,
        step: StepOptions { weight_decay: 1e-2, ..options().step },
        ..options()
    };
    // The bias of a layer before a batch_norm has a gradient of rounding errors only, which Adam would turn into
    // full-size steps.
    let adam = TrainOptions {
        step: StepOptions {
            optimizer: Optimizer::AdamW(Moments { epsilon: 1e-2, ..Moments::default() }),
            ema: Some(0.8),
            ..plain.step
        },
        ..plain.clone()
    };
    for options in [plain, adam] {
        let (expected, expected_weights) = train(&reference, &network, &data, &options);
        for device in devices() {
            let (losses, weights) = train(&device, &network, &data, &options);
            for (loss, expected) in losses.iter().zip(&expected) {
                let relative = (loss - expected).abs() / expected;
                assert!(relative <= 1e-4, "{}: loss {loss}, expected {expected}", device.description);
            }
            let pairs = weights.values.iter().flatten().zip(expected_weights.values.iter().flatten());
            let worst = pairs.map(|(got, expected)| f64::from((got - expected).abs())).fold(0.0, f64::max);
            println!("{}: {worst:.1e} apart", device.description);
            assert!(worst <= 1e-4, "{}: weights {worst} apart", device.description);
        }
    }
}

/// Mean and unbiased variance of each channel of all images.
fn moments(set: &Dataset) -> Vec<[f64; 2]> {
    let channels = set.shape()[2];
    let of_channel = |c: usize| {
        let all = (0..set.len()).flat_map(|index| set.image(index).iter().skip(c).step_by(channels));
        let values: Vec<f64> = all.map(|byte| f64::from(*byte) / 255.0).collect();
        let m = values.len() as f64;
        let mean = values.iter().sum::<f64>() / m;
        [mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (m - 1.0)]
    };
    (0..channels).map(of_channel).collect()
}

/// Every step sees all images, so after k steps a fraction 0.75^k of the initial value is left, whatever weight decay
/// does.
#[test]
fn running_statistics_are_not_trained() {
    let (network, data) = (network(FIRST), data(40, 10));
    let steps = 5;
    let plain = TrainOptions {
        epochs: steps,
        batch_size: 40,
        learning_rate: 0.1,
        step: StepOptions { weight_decay: 0.5, ..StepOptions::default() },
        ..TrainOptions::default()
    };
    let adam = TrainOptions { step: StepOptions { optimizer: Optimizer::adam(), ..plain.step }, ..plain.clone() };
    let adamw = TrainOptions {
        step: StepOptions { optimizer: Optimizer::adamw(), clip_norm: Some(0.1), ..adam.step },
        ..adam.clone()
    };
    let left = 0.75f64.powi(steps as i32);
    for options in [plain, adam, adamw] {
        for device in devices() {
            let (_, weights) = train(&device, &network, &data, &options);
            let [_, _, mean, var] = [0, 1, 2, 3].map(|index| &weights.values[index]);
            for (c, [batch_mean, batch_var]) in moments(&data.train).into_iter().enumerate() {
                let expected = [(1.0 - left) * batch_mean, left + (1.0 - left) * batch_var];
                for (got, expected) in [mean[c], var[c]].into_iter().zip(expected) {
                    let error = (f64::from(got) - expected).abs();
                    assert!(error <= 1e-5, "{}: {got}, expected {expected}", device.description);
                }
            }
        }
    }
}

/// A prediction uses the running statistics, so an image's result does not depend on others in its batch.
#[test]
fn predictions_do_not_depend_on_the_batch() {
    let (network, data) = (network(NETWORK), data(95, 30));
    let options = TrainOptions { epochs: 3, ..options() };
    for device in devices() {
        let mut trainer = Trainer::new(&device, &network, &data, options.clone(), None).unwrap();
        let outcome = pollster::block_on(trainer.run(&mut |_| Ok(ControlFlow::Continue(())))).unwrap();
        let weights = pollster::block_on(trainer.weights()).unwrap();
        let mut predictor = Predictor::new(&device, &network, &weights).unwrap();
        let right = (0..data.test.len()).filter(|index| {
            let scores = pollster::block_on(predictor.predict(data.test.image(*index))).unwrap();
            let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap();
            best == usize::from(data.test.labels()[*index])
        });
        let right = right.count() as f64 / data.test.len() as f64;
        assert_eq!(right, outcome.evaluation.unwrap().accuracy(), "{}", device.description);
        assert!(right > 0.5, "{}: nothing was learned: {right}", device.description);
    }
}

#[test]
fn a_resumed_run_is_the_same_run() {
    let (network, data) = (network(NETWORK), data(95, 30));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let options = TrainOptions {
        epochs: 2,
        every_step: true,
        step: StepOptions { ema: Some(0.9), weight_decay: 1e-2, ..options().step },
        ..options()
    };
    for device in devices() {
        let end = |trainer: &mut Trainer<'_>| {
            let mut checkpoint = pollster::block_on(trainer.checkpoint()).unwrap();
            checkpoint.state.progress.epoch.seconds = 0.0;
            checkpoint.to_bytes()
        };
        let run = |trainer: &mut Trainer<'_>, until: usize| {
            pollster::block_on(trainer.run(&mut |event| {
                let ends = matches!(&event, Event::Steps(report) if report.first_step + report.losses.len() > until);
                Ok(if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            }))
            .unwrap()
        };
        let mut whole = Trainer::new(&device, &network, &data, options.clone(), None).unwrap();
        run(&mut whole, usize::MAX);
        let mut first = Trainer::new(&device, &network, &data, options.clone(), None).unwrap();
        assert!(run(&mut first, 3).interrupted);
        pollster::block_on(first.checkpoint()).unwrap().save(&path).unwrap();
        let mut second = Trainer::resume(&device, Checkpoint::load(&path).unwrap(), &data).unwrap();
        run(&mut second, usize::MAX);
        assert!(end(&mut second) == end(&mut whole), "{}: the run ends with other results", device.description);
    }
}
