//! Data whose numbers of pixels, labels and classes do not match: the same error on every device, whether it comes from
//! arrays or from files.

use crate::devices;
use crate::place::Place;
use shadegrad::data::{DataPair, Dataset, idx};
use shadegrad::evaluate::evaluate;
use shadegrad::machine::Device;
use shadegrad::network::Network;
use shadegrad::train::{TrainOptions, Trainer};
use std::ops::ControlFlow;

const SHAPE: [usize; 3] = [4, 4, 1];

fn network() -> Network {
    let text = "input = [4, 4, 1]\n[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 3\n";
    Network::from_toml("small", text).unwrap()
}

/// The error when a network is trained on such arrays, and evaluated on them.
fn said(device: &Device, pixels: usize, labels: &[u8], classes: usize) -> String {
    let set = || Dataset::new(vec![9; pixels], labels.to_vec(), SHAPE, classes);
    let right = || Dataset::new(vec![9; 6 * 16], vec![0, 1, 2, 0, 1, 2], SHAPE, 3).unwrap();
    let network = network();
    let train = || {
        let data = DataPair { train: set()?, test: right(), source: "arrays".into() };
        let options = TrainOptions { epochs: 1, batch_size: 2, ..TrainOptions::default() };
        let mut trainer = Trainer::new(device, &network, &data, options, None)?;
        pollster::block_on(trainer.run(&mut |_| Ok(ControlFlow::Continue(()))))
    };
    let judge = || pollster::block_on(evaluate(device, &network, &network.initialize(1), &set()?));
    let (trained, judged) = (train().map(drop), judge().map(drop));
    let [trained, judged] = [trained, judged].map(|outcome| outcome.expect_err("taken").to_string());
    // The error names the set that does not fit by its default name.
    assert_eq!(trained, judged);
    trained
}

#[test]
fn arrays_that_do_not_fit_are_refused_on_every_device() {
    for choice in devices() {
        let device = pollster::block_on(Device::open(&choice.parse().unwrap())).unwrap();
        assert_eq!(device.gpu().is_some(), !["cpu:2", "reference"].contains(&choice.as_str()), "{choice}");
        let said = |pixels, labels: &[u8], classes| said(&device, pixels, labels, classes);
        let labels = [0, 1, 2, 0, 1, 2];
        for pixels in [5 * 16, 7 * 16, 6 * 16 - 1] {
            let expected = format!("data: expected 96 pixels, 4 x 4 x 1 for each of 6 labels, got {pixels}");
            assert_eq!(said(pixels, &labels, 3), expected, "{choice}");
        }
        let expected = "data: label 4 is 3, expected 0 to 2: there are 3 classes";
        assert_eq!(said(6 * 16, &[0, 1, 2, 0, 3, 200], 3), expected, "{choice}");
        let expected = "network `small` has 3 classes, but the data set has 201";
        assert_eq!(said(6 * 16, &[0, 1, 2, 0, 3, 200], 201), expected, "{choice}");
    }
}

#[test]
fn files_that_do_not_fit_are_refused_on_every_device() {
    let place = Place::new();
    let labels = "train-labels-idx1-ubyte";
    let whole = idx::read_labels(&place.path(&format!("data/{labels}"))).unwrap();
    let above: Vec<u8> = whole.iter().map(|label| if *label == 9 { 12 } else { *label }).collect();
    for device in devices() {
        let refused = |wrong: &[u8], says: &[&str]| {
            idx::write_labels(&place.path(&format!("data/{labels}")), wrong).unwrap();
            place.refuses(1, &format!("train --model tiny.toml --data data --epochs 1 --device {device}"), says);
        };
        refused(&whole[1..], &[labels, "has 299 labels for the 300 images in", "train-images-idx3-ubyte"]);
        refused(&[&whole[..], &[0]].concat(), &[labels, "has 301 labels for the 300 images in"]);
        refused(&above, &["network `tiny` has 10 classes, but the train set has 13"]);
        // The test labels still go up to 9, which does not occur in training.
        let below: Vec<u8> = whole.iter().map(|label| label % 9).collect();
        refused(&below, &["t10k-labels-idx1-ubyte", "but training labels only go from 0 to 8"]);
    }
}
