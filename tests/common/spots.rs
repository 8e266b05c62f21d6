//! A small task for tests of training: noise images with a bright spot whose position is the class, and a network with
//! most layer types.
#![allow(dead_code, reason = "each test that includes it uses a part")]

use shadegrad::data::{DataPair, Dataset};
use shadegrad::machine::Device;
use shadegrad::network::Network;
use shadegrad::train::TrainOptions;
pub use shadegrad::verify::training::NETWORK as MODEL;
use std::sync::OnceLock;

pub fn model() -> Network {
    Network::from_toml("small", MODEL).unwrap()
}

/// The test device: `$SHADEGRAD_TEST_DEVICE`, in the syntax of `--device`, or `auto`.
pub fn gpu() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| {
        let name = std::env::var("SHADEGRAD_TEST_DEVICE").unwrap_or("auto".into());
        let device = pollster::block_on(Device::open(&name.parse().unwrap())).unwrap();
        assert!(device.gpu().is_some(), "no GPU driver: {}", shadegrad::gpu::missing_driver_remedy());
        device
    })
}

pub fn set(name: &str, count: usize, seed: u64) -> Dataset {
    shadegrad::verify::training::spots(name, count, seed).unwrap()
}

pub fn data(train: usize, test: usize) -> DataPair {
    DataPair { train: set("train", train, 1), test: set("test", test, 2), source: "spots".into() }
}

pub fn options() -> TrainOptions {
    TrainOptions { epochs: 1, batch_size: 20, learning_rate: 0.1, ..TrainOptions::default() }
}
