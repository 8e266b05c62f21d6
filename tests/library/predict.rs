//! Predictions of many images at once.

use crate::devices;
use shadegrad::prelude::*;

/// A network whose weights are small whole numbers, and images with only black and white pixels: every sum is exact in
/// any order, so predictions must be bit-identical in every batch.
fn exact() -> (Network, Weights, Vec<Vec<u8>>) {
    let network = Network::builder("exact", [6, 5, 1]).conv2d(4, 3).relu().max_pool2d(2).flatten().dense(3);
    let network = network.build().unwrap();
    let mut weights = network.initialize(3);
    weights.values.iter_mut().flatten().for_each(|value| *value = (*value * 4.0).round());
    let images =
        (0..200_u32).map(|image| (0..30).map(move |pixel| if (image * 7919) >> pixel & 1 == 1 { 255 } else { 0 }));
    (network, weights, images.map(Iterator::collect).collect())
}

#[test]
fn a_batch_gives_the_predictions_of_its_images() {
    let (network, weights, images) = exact();
    for choice in devices() {
        let device = Device::open_blocking(&choice.parse().unwrap()).unwrap();
        let mut predictor = Predictor::new(&device, &network, &weights).unwrap();
        let single: Vec<Vec<f32>> = images.iter().map(|image| predictor.predict_blocking(image).unwrap()).collect();
        assert!(single.iter().any(|classes| classes != &single[0]), "{choice}: all the same");
        // Fewer images than the machine's batch size, more, multiples and remainders; a larger machine after a small
        // one, and back.
        for count in [2, 1, 3, 5, 128, 129, 200, 4, 0] {
            let together = predictor.predict_batch_blocking(&images[..count]).unwrap();
            assert!(together == single[..count], "{choice}: {count} images");
        }
    }
}

#[test]
fn the_invalid_image_is_named() {
    let (network, mut weights, images) = exact();
    let last = weights.values.len() - 2;
    for choice in devices() {
        let device = Device::open_blocking(&choice.parse().unwrap()).unwrap();
        let said = |weights: &Weights, images: &[Vec<u8>]| {
            let mut predictor = Predictor::new(&device, &network, weights).unwrap();
            predictor.predict_batch_blocking(images).unwrap_err().to_string()
        };
        let mut short = images[..5].to_vec();
        short[3].pop();
        assert_eq!(said(&weights, &short), "image 4 of 5: expected an image of 30 bytes (6 x 5 x 1), got 29");
        let single = Predictor::new(&device, &network, &weights).unwrap().predict_blocking(&short[3]).unwrap_err();
        assert_eq!(single.to_string(), "expected an image of 30 bytes (6 x 5 x 1), got 29");

        // Black images give only the bias; a white one overflows.
        weights.values[0].fill(1.0);
        weights.values[1].fill(0.0);
        weights.values[last].fill(3e38);
        let mut black = vec![vec![0; 30]; 200];
        black[131].fill(255);
        let said = said(&weights, &black);
        assert!(said.starts_with("image 132 of 200: the output of the network is inf"), "{choice}: {said}");
        assert!(said.contains("its weights are so large that sums of them overflow"), "{choice}: {said}");
        weights = exact().1;
    }
}
