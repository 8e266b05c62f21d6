//! Ten training steps of small networks against the same steps on the reference: whole plans, one pass after another.

use super::expected::{Finding, compare};
use crate::data::Dataset;
use crate::error::Result;
use crate::machine::{Device, DeviceChoice, Machine, Section};
use crate::network::{CompileOptions, Network};
use crate::ops::Step;
use crate::ops::augment::Augment;
use crate::options::{Moments, Optimizer, StepOptions};

/// A network with most layer types: two convolutions, two kinds of pool, two dropouts and three activations.
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

/// A network with batch norms, in the format of network files, for images of [`spots`]. Its activations and its pool are
/// smooth: a norm amplifies the error of its input to many u, and among half a million values before a ReLU or a maximum,
/// one would now and then fall on the other side.
pub const WITH_NORMS: &str = r#"
input = [10, 9, 2]
[[layers]]
type = "conv2d"
filters = 6
kernel = 3
padding = "same"
[[layers]]
type = "batch_norm"
activation = "tanh"
[[layers]]
type = "average_pool2d"
size = 2
[[layers]]
type = "conv2d"
filters = 8
kernel = 2
[[layers]]
type = "batch_norm"
momentum = 0.3
activation = "sigmoid"
[[layers]]
type = "dropout"
rate = 0.1
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = 16
[[layers]]
type = "batch_norm"
activation = "tanh"
[[layers]]
type = "dense"
units = 4
"#;

/// Noise images for these networks, with a bright spot whose position is the class.
pub fn spots(name: &str, count: usize, seed: u64) -> Result<Dataset> {
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
    Ok(Dataset::new(images, labels, SHAPE, 4)?.named(name))
}

/// 95 images are four batches of 20 and one of 15, so two of the ten steps are partial.
const IMAGES: usize = 95;
const BATCH: usize = 20;

/// A network and how it is trained.
pub(super) struct Task {
    /// Name of the task: `ten steps`.
    pub name: &'static str,
    /// The network, for people.
    pub network: &'static str,
    text: &'static str,
    options: CompileOptions,
    learning_rate: f32,
    /// Largest error of a weight, and of a value of the optimizer state, after ten steps.
    bound: f64,
    /// Largest relative error of a loss.
    loss_bound: f64,
}

/// Plain gradient descent with its options, then all other options of a step.
pub(super) fn tasks() -> [Task; 2] {
    let options = CompileOptions { batch: BATCH, train_images: IMAGES, slots: 10, ..CompileOptions::default() };
    [
        Task {
            name: "ten steps",
            network: "a small network",
            text: NETWORK,
            options: CompileOptions {
                step: StepOptions {
                    optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true },
                    weight_decay: 1e-3,
                    ..StepOptions::default()
                },
                ..options.clone()
            },
            learning_rate: 0.1,
            // Device and reference add f32 terms in different orders, so a gradient, which is below 1, is off by some 4
            // u. Ten steps of rate 0.1 with momentum 0.9 add their gradients with factors that sum to 4.1, which gives
            // 2e-6. A wrong factor shows up at 1e-3.
            bound: 2e-6,
            loss_bound: 1e-5,
        },
        Task {
            name: "ten steps, everything on",
            network: "a small network with norms",
            text: WITH_NORMS,
            options: CompileOptions {
                step: StepOptions {
                    optimizer: Optimizer::AdamW(Moments { epsilon: 5e-2, ..Moments::default() }),
                    weight_decay: 1e-2,
                    loss: None,
                    clip_norm: Some(1.0),
                    ema: Some(0.8),
                    label_smoothing: 0.1,
                    augment: Some(Augment::DIGITS),
                    ..StepOptions::default()
                },
                ..options
            },
            learning_rate: 0.05,
            // A division by standard deviations, which start near 0.1, turns 4 u into 40 u. A change of 1 in the
            // moments changes a weight by at most rate / epsilon = 1 per step, and ten steps add up: 400 u are 2.4e-5.
            // With a smaller epsilon, gradients that a norm cancels to 0 would leave rounding errors that make
            // full-size steps. A learning rate that is off by 1 % in one step shows up at 4e-5.
            bound: 2.5e-5,
            loss_bound: 1e-5,
        },
    ]
}

impl Task {
    /// The ten steps.
    pub(super) fn steps(&self) -> Vec<Step> {
        let epoch = |done| Step::epoch(IMAGES, BATCH, done, 3, self.learning_rate);
        let mut steps = epoch(0);
        steps.extend(epoch(steps.len()));
        for (slot, step) in steps.iter_mut().enumerate() {
            step.slot = slot as u32;
            [step.first_correction, step.second_correction] = self.options.step.optimizer.corrections(slot);
        }
        steps
    }

    /// Weights, optimizer state and losses after these steps.
    async fn train(&self, device: &Device, steps: &[Step]) -> Result<Vec<(&'static str, Vec<f64>)>> {
        let network = Network::from_toml("small", self.text)?;
        let mut machine = Machine::new(device, network.compile(&self.options)?)?;
        let tensors = machine.compiled.tensors.clone();
        let (Some(set), Some(scores)) = (&tensors.train, &tensors.scores) else {
            unreachable!("a plan with training images has a training set and scores")
        };
        let weights = network.initialize(1);
        machine.write_weights(&weights);
        machine.write_optimizer_states(&weights, &[])?;
        machine.load_set(set, &spots("train", IMAGES, 1)?);
        machine.write_int(set.order, &(0..IMAGES as u32).map(|i| i * 7 % IMAGES as u32).collect::<Vec<u32>>());
        for steps in steps.chunks(machine.most_steps()) {
            machine.run(Section::Train, steps)?;
        }
        let numbers = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
        let mut trained = vec![("weights", numbers(machine.read_weights().await?.values.concat()))];
        for (optimizer_state, kept) in machine.read_optimizer_states().await? {
            trained.push((optimizer_state.name(), numbers(kept.values.concat())));
        }
        trained.push((LOSSES, numbers(machine.read(scores.losses, 0..steps.len()).await?)));
        Ok(trained)
    }

    /// Trains on the device with `steps` and on the reference with [`Task::steps`]; gives the worst error relative to
    /// its bound.
    pub(super) async fn check(&self, device: &Device, steps: &[Step]) -> Result<f64, Finding> {
        let reference = Device::open(&DeviceChoice::Reference).await?;
        let expected = self.train(&reference, &self.steps()).await?;
        let got = self.train(device, steps).await?;
        let again = self.train(device, steps).await?;
        let mut worst = 0.0_f64;
        for (((name, got), (_, again)), (_, expected)) in got.iter().zip(&again).zip(&expected) {
            if let Some(index) = got.iter().zip(again).position(|(a, b)| a.to_bits() != b.to_bits()) {
                let bits = |value: f64| (value as f32).to_bits();
                let (first, second) = (bits(got[index]), bits(again[index]));
                return Err(Finding::Unsteady { output: name.to_string(), index, first, second });
            }
            let bound = |expected: &f64| if *name == LOSSES { self.loss_bound * expected } else { self.bound };
            let bounds: Vec<f64> = expected.iter().map(bound).collect();
            worst = worst.max(compare(name, got, expected, &bounds)?);
        }
        Ok(worst)
    }
}

/// Name of the losses in findings.
const LOSSES: &str = "losses";
