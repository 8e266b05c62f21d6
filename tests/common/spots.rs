//! A small task for tests of training: images of noise with a bright spot, whose place is the class, and a network with a
//! little of everything.
#![allow(dead_code)]

use shadegrad::data::{DataPair, Dataset};
use shadegrad::machine::Device;
use shadegrad::network::Network;
use shadegrad::train::TrainOptions;
use std::sync::OnceLock;

/// A little of everything: two convolutions, two kinds of pool, two dropouts, three activations.
pub const MODEL: &str = r#"
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

pub fn model() -> Network {
    Network::from_toml("small", MODEL).unwrap()
}

/// The device of all tests: `$SHADEGRAD_TEST_DEVICE`, as `--device` takes it, else `auto`.
pub fn gpu() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| {
        let name = std::env::var("SHADEGRAD_TEST_DEVICE").unwrap_or("auto".into());
        let device = pollster::block_on(Device::open(&name.parse().unwrap())).unwrap();
        assert!(device.gpu().is_some(), "no GPU driver: {}", shadegrad::gpu::missing_driver_remedy());
        device
    })
}

/// A generator of numbers, the same in every run.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 40
    }
}

/// Images of noise with a bright spot, whose place is the class.
pub fn set(name: &str, count: usize, seed: u64) -> Dataset {
    let [height, width, channels] = model().input;
    let mut noise = Noise(seed);
    let labels: Vec<u8> = (0..count).map(|_| (noise.next() % 4) as u8).collect();
    let mut images = Vec::new();
    for label in &labels {
        let (top, left) = (usize::from(label / 2) * 5, usize::from(label % 2) * 4);
        for y in 0..height {
            for x in 0..width {
                for _ in 0..channels {
                    let spot = (top..top + 4).contains(&y) && (left..left + 4).contains(&x);
                    images.push((noise.next() % 100) as u8 + if spot { 120 } else { 0 });
                }
            }
        }
    }
    Dataset { name: name.into(), images, labels, image_shape: [height, width, channels], classes: 4 }
}

pub fn data(train: usize, test: usize) -> DataPair {
    DataPair { train: set("train", train, 1), test: set("test", test, 2), source: "spots".into() }
}

pub fn options() -> TrainOptions {
    TrainOptions { epochs: 1, batch_size: 20, learning_rate: 0.1, ..TrainOptions::default() }
}
