//! Trains a small network on images in memory.
//!
//!     cargo run --release --example train_arrays

use shadegrad::prelude::*;
use std::ops::ControlFlow;

const SIDE: usize = 12;

/// Noise images with a bright bar, and the bar's direction: 0 is horizontal, 1 is vertical.
fn bars(count: usize, seed: u32) -> Result<Dataset> {
    let mut state = seed;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let labels: Vec<u8> = (0..count).map(|_| random(2) as u8).collect();
    let mut images = Vec::with_capacity(count * SIDE * SIDE);
    for label in &labels {
        let at = random(SIDE);
        for pixel in 0..SIDE * SIDE {
            let place = if *label == 0 { pixel / SIDE } else { pixel % SIDE };
            images.push(random(60) as f32 / 100.0 + if place == at { 0.4 } else { 0.0 });
        }
    }
    Dataset::from_f32(&images, labels, [SIDE, SIDE, 1], 2)
}

fn main() -> Result<()> {
    let device = Device::open_blocking(&DeviceChoice::Cpu(None))?;
    let data = DataPair::new(bars(2000, 1)?, bars(200, 2)?)?;
    let network =
        Network::builder("bars", [SIDE, SIDE, 1]).conv2d(8, 3).relu().max_pool2d(2).flatten().dense(2).build()?;
    let options = TrainOptions { epochs: 4, learning_rate: 0.1, ..TrainOptions::default() };
    let mut trainer = Trainer::new(&device, &network, &data, options, None)?;
    trainer.run_blocking(&mut |event: Event<'_>| {
        if let Event::Epoch(report, _) = event {
            println!("epoch {}: {:.1} % of the test images", report.epoch, report.val_accuracy * 100.0);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let weights = trainer.weights_blocking()?;
    let evaluation = evaluate_blocking(&device, &network, &weights, &data.test)?;
    println!(
        "loss {:.3}; {} vertical bars recognised in {} images",
        evaluation.loss,
        evaluation.confusion[1][1],
        evaluation.images()
    );
    Ok(())
}
