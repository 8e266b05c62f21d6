//! Runs one operation with its shaders and with the reference, and compares the results.
//!
//!     cargo run --release --example one_op

use shadegrad::ops::conv2d::{Forward, Geometry};
use shadegrad::ops::{Activation, ChooseKernel};
use shadegrad::prelude::*;
use shadegrad::shape::Window2d;
use shadegrad::verify::{Case, Values, random};

fn main() -> Result<()> {
    // Two images of 9 x 8 pixels with 4 channels, a kernel of 3 x 3, 8 filters.
    let window = Window2d::new(2, [9, 8, 4], [3, 3], [1, 1], Padding::Same).map_err(Error::Usage)?;
    let geometry = Geometry { window, filters: 8 };
    let op = Forward { geometry, activation: Activation::Relu, dropout: None };
    let [x, w, b] = [window.input_len(), geometry.weight_len(), 8].map(|len| Values::Real(random(len, 1)));
    let case = Case::new(op, vec![("x", x), ("w", w), ("b", b)]);

    // The reference in f64, from the same f32 numbers.
    let expected = case.reference::<f64>();
    let device = Device::open_blocking(&DeviceChoice::default())?;
    let Some(gpu) = device.gpu() else {
        println!("found no GPU and no driver, so there is nothing to compare with the reference");
        return Ok(());
    };
    let recording = case.recording(device.choices().config(case.name()))?;
    for dispatch in recording.dispatches() {
        println!("{} in {:?} workgroups", dispatch.kernel.name(), dispatch.groups);
    }
    let got = case.on_gpu_blocking(gpu, recording).map_err(|finding| Error::Device(finding.to_string()))?;
    let errors = got[0].values().into_iter().zip(&expected[0].1).map(|(got, expected)| (got - expected).abs());
    println!("y has {} elements; the largest error is {:e}", expected[0].1.len(), errors.fold(0.0, f64::max));
    Ok(())
}
