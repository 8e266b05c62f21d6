//! Ten training steps of a small network, against the same steps of the reference.

use super::expected::{Finding, compare};
use crate::data::Dataset;
use crate::error::Result;
use crate::machine::{Device, DeviceChoice, Machine, Section};
use crate::network::{CompileOptions, Network};
use crate::ops::Step;

/// A little of everything: two convolutions, two kinds of pool, two dropouts, three activations.
pub const NETWORK: &str = r#"
input = [10, 9, 2]
[[layers]]
type = "conv2d"
filters = 6
kernel = 3
padding = "same"
activation = "relu"
[[layers]]
type = "max_pool2d"
size = 2
[[layers]]
type = "conv2d"
filters = 8
kernel = 2
activation = "tanh"
[[layers]]
type = "average_pool2d"
size = 2
stride = 1
[[layers]]
type = "dropout"
rate = 0.1
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = 16
activation = "sigmoid"
[[layers]]
type = "dropout"
rate = 0.2
[[layers]]
type = "dense"
units = 4
"#;

/// Images of noise for [`NETWORK`], with a bright spot whose place is the class.
pub fn spots(name: &str, count: usize, seed: u64) -> Dataset {
    const SHAPE: [usize; 3] = [10, 9, 2];
    let mut state = seed;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 40
    };
    let [height, width, channels] = SHAPE;
    let labels: Vec<u8> = (0..count).map(|_| (noise() % 4) as u8).collect();
    let mut images = Vec::new();
    for label in &labels {
        let (top, left) = (usize::from(label / 2) * 5, usize::from(label % 2) * 4);
        for y in 0..height {
            for x in 0..width {
                for _ in 0..channels {
                    let spot = (top..top + 4).contains(&y) && (left..left + 4).contains(&x);
                    images.push((noise() % 100) as u8 + if spot { 120 } else { 0 });
                }
            }
        }
    }
    Dataset { name: name.into(), images, labels, image_shape: SHAPE, classes: 4 }
}

/// 95 images are four batches of 20 and one of 15, so two of the ten steps are partial.
const IMAGES: usize = 95;
const BATCH: usize = 20;

/// Weights and losses after these steps.
struct Trained {
    weights: Vec<f64>,
    losses: Vec<f64>,
}

/// The ten steps.
pub(super) fn steps() -> Vec<Step> {
    let epoch = |done| Step::epoch(IMAGES, BATCH, done, 3, 0.1);
    let mut steps = epoch(0);
    steps.extend(epoch(steps.len()));
    steps.iter_mut().zip(0..).for_each(|(step, slot)| step.slot = slot);
    steps
}

async fn train(device: &Device, steps: &[Step]) -> Result<Trained> {
    let network = Network::from_toml("small", NETWORK)?;
    let compiled = network.compile(&CompileOptions {
        batch: BATCH,
        train_images: IMAGES,
        momentum: 0.9,
        nesterov: true,
        weight_decay: 1e-3,
        slots: steps.len(),
        ..CompileOptions::default()
    })?;
    let mut machine = Machine::new(device, compiled)?;
    let tensors = machine.compiled.tensors.clone();
    let (Some(set), Some(scores)) = (&tensors.train, &tensors.scores) else {
        unreachable!("a plan with training images has a training set and scores")
    };
    machine.write_weights(&network.initialize(1));
    machine.load_set(set, &spots("train", IMAGES, 1));
    machine.write_int(set.order, &(0..IMAGES as u32).map(|i| i * 7 % IMAGES as u32).collect::<Vec<u32>>());
    for steps in steps.chunks(machine.most_steps()) {
        machine.run(Section::Train, steps)?;
    }
    let losses = machine.read(scores.losses, 0..steps.len()).await?;
    let weights = machine.read_weights().await?.values.concat();
    let numbers = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
    Ok(Trained { weights: numbers(weights), losses: numbers(losses) })
}

/// Trains on the device by `steps` and on the reference by [`steps`]; gives the worst error as a share of its bound.
pub(super) async fn check(device: &Device, steps: &[Step]) -> Result<f64, Finding> {
    let reference = Device::open(&DeviceChoice::Reference).await?;
    let expected = train(&reference, &self::steps()).await?;
    let got = train(device, steps).await?;
    let again = train(device, steps).await?;
    if let Some(index) = got.weights.iter().zip(&again.weights).position(|(a, b)| a.to_bits() != b.to_bits()) {
        let bits = |value: f64| (value as f32).to_bits();
        let (output, first, second) = ("weights".to_string(), bits(got.weights[index]), bits(again.weights[index]));
        return Err(Finding::Unsteady { output, index, first, second });
    }
    // Both sides sum in f32 in orders of their own, so a gradient, below 1, is off by some 4 u. Ten steps of rate 0.1 with
    // momentum 0.9 add their gradients with factors that sum to 4.1, which makes 2e-6. A wrong factor shows at 1e-3.
    let weights = compare("weights", &got.weights, &expected.weights, &vec![2e-6; expected.weights.len()])?;
    let bound: Vec<f64> = expected.losses.iter().map(|loss| 1e-5 * loss).collect();
    Ok(weights.max(compare("losses", &got.losses, &expected.losses, &bound)?))
}
