//! A test with real data, if available: case 2 of the study for 200 steps on MNIST.

use shadegrad::data::{DataPair, Source};
use shadegrad::evaluate::evaluate;
use shadegrad::machine::{Device, DeviceChoice};
use shadegrad::network::Network;
use shadegrad::train::{TrainOptions, Trainer};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

/// The data in `$SHADEGRAD_DATA`; `None` if the variable does not name a folder.
fn mnist() -> Option<DataPair> {
    let folder = std::env::var_os("SHADEGRAD_DATA").filter(|folder| Path::new(folder).is_dir())?;
    // A folder that is named must be readable: a damaged copy fails here.
    let data = Source::Folder(folder.into()).load().unwrap();
    let is_mnist = (data.train.len(), data.test.len(), data.train.shape()) == (60_000, 10_000, [28, 28, 1]);
    is_mnist.then_some(data)
}

#[test]
fn case2_learns_mnist_in_200_steps() {
    let Some(data) = mnist() else {
        // Writes directly, because the test harness hides the output of `eprintln!` in a test that passes.
        let _ = writeln!(std::io::stderr(), "skipped: $SHADEGRAD_DATA does not name a folder with MNIST");
        return;
    };
    let name = std::env::var("SHADEGRAD_TEST_DEVICE").unwrap_or("auto".into());
    let choice: DeviceChoice = name.parse().unwrap();
    let device = pollster::block_on(Device::open(&choice)).unwrap();
    let network = Network::open("case2").unwrap();
    let test = data.test.take(2000);
    let data = DataPair { test: test.clone(), ..data };
    let options = TrainOptions { epochs: 1, max_steps: Some(200), ..TrainOptions::default() };
    let mut trainer = Trainer::new(&device, &network, &data, options, None).unwrap();
    let outcome = pollster::block_on(trainer.run(&mut |_| Ok(ControlFlow::Continue(())))).unwrap();
    let reported = outcome.epochs[0].val_accuracy;
    println!("{} steps: {:.4} of the first 2,000 test images", outcome.epochs[0].step, reported);
    assert_eq!(outcome.epochs[0].step, 200);
    assert!(reported >= 0.93, "accuracy {reported} after 200 steps");
    let weights = pollster::block_on(trainer.weights()).unwrap();
    let evaluation = pollster::block_on(evaluate(&device, &network, &weights, &test)).unwrap();
    assert_eq!(evaluation.accuracy(), reported);
}
