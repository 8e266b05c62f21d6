//! Tests of the library's public interface: arrays, predictions, user-defined shaders, and the examples.

mod examples;
mod own_kernel;
#[path = "../common/place.rs"]
mod place;
mod predict;
mod wrong_data;

use shadegrad::machine::Device;

/// The CPU, the reference, and a GPU or software driver.
fn devices() -> [String; 3] {
    ["cpu:2".into(), "reference".into(), std::env::var("SHADEGRAD_TEST_DEVICE").unwrap_or("auto".into())]
}

/// The GPU or software driver.
fn gpu() -> Device {
    let [.., choice] = devices();
    let device = Device::open_blocking(&choice.parse().unwrap()).unwrap();
    assert!(device.gpu().is_some(), "no GPU driver: {}", shadegrad::gpu::missing_driver_remedy());
    device
}
