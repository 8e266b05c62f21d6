//! Classifies many images at once with a network, and prints how many of them are correct.
//!
//! cargo run --release --example predict_batch                          # a network with its initial weights
//! cargo run --release --example predict_batch -- model.safetensors     # a trained network

use shadegrad::prelude::*;
use std::path::Path;

fn main() -> Result<()> {
    let device = Device::open_blocking(&DeviceChoice::default())?;
    let (network, weights) = match std::env::args().nth(1) {
        Some(path) => Weights::open(Path::new(&path))?,
        None => {
            let network = Network::open("fast")?;
            let weights = network.initialize(1);
            (network, weights)
        }
    };
    let digits = Source::Builtin { seed: 1 }.load()?.test.take(300);
    let images: Vec<&[u8]> = (0..digits.len()).map(|index| digits.image(index)).collect();

    let mut predictor = Predictor::new(&device, &network, &weights)?;
    let probabilities = predictor.predict_batch_blocking(&images)?;

    let best = |classes: &[f32]| (0..classes.len()).max_by(|a, b| classes[*a].total_cmp(&classes[*b])).unwrap_or(0);
    let right = probabilities.iter().zip(digits.labels()).filter(|(all, label)| best(all) == usize::from(**label));
    println!("{} of {} digits classified correctly by {}", right.count(), digits.len(), network.name);
    for (index, classes) in probabilities.iter().enumerate().take(3) {
        println!("image {index}: {} with {:.1} %", best(classes), classes[best(classes)] * 100.0);
    }
    Ok(())
}
