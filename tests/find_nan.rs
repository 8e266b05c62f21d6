//! `--find-nan` names the pass that produced the first number that is not finite, on every device.

#[path = "common/spots.rs"]
mod spots;

use shadegrad::Error;
use shadegrad::data::{DataPair, Dataset};
use shadegrad::fast::Instructions;
use shadegrad::machine::{Device, DeviceChoice, Machine, Section};
use shadegrad::network::{CompileOptions, Network, Weights};
use shadegrad::ops::Step;
use shadegrad::train::{Optimizer, StepOptions, TrainOptions, Trainer};
use spots::{data, gpu, model, options};
use std::ops::ControlFlow;

fn devices() -> [Device; 3] {
    let reference = pollster::block_on(Device::open(&DeviceChoice::Reference)).unwrap();
    [gpu().clone(), Device::cpu(Some(2), Instructions::best(), None).unwrap(), reference]
}

/// The error of a run that diverges.
fn failure(device: &Device, network: &Network, data: &DataPair, options: TrainOptions, initial: &Weights) -> String {
    let options = TrainOptions { find_nan: true, ..options };
    let mut trainer = Trainer::new(device, network, data, options, Some(initial)).unwrap();
    match pollster::block_on(trainer.run(&mut |_| Ok(ControlFlow::Continue(())))) {
        Err(Error::NotFinite(message)) => message,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it went well"),
    }
}

/// Fails unless the last line names the step and the pass, or a dispatch of the pass: `step <step>: <label>`.
fn assert_names(message: &str, step: usize, label: &str, device: &Device) {
    println!("{}: {message}", device.description);
    let (first, origin) = message.split_once('\n').unwrap_or_else(|| panic!("nothing was found: {message}"));
    assert!(first.contains("try a smaller learning rate"), "{message}");
    assert!(origin.starts_with(&format!("step {step}: {label}")), "{}: {message}", device.description);
    assert!(origin.contains("kernel") && origin.ends_with("from finite numbers"), "{message}");
}

/// A layer's weights are so large that its sums overflow. (After tanh and sigmoid that would be harmless.)
#[test]
fn a_forward_pass_that_overflows_is_named() {
    let data = data(60, 10);
    for device in &devices() {
        let (model, linear) = (model(), linear().0);
        for (network, parameter, label) in
            [(&model, 0, "conv1.forward"), (&model, 6, "dense2.forward"), (&linear, 0, "dense1.forward")]
        {
            let mut weights = network.initialize(1);
            weights.values[parameter].fill(3e38);
            assert_names(&failure(device, network, &data, options(), &weights), 1, label, device);
        }
    }
}

/// Two dense layers without an activation; the first has weights so small that the second's large weights do not
/// overflow in the forward pass.
fn linear() -> (Network, Weights) {
    let text = "input = [10, 9, 2]\n[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 8\n\
                [[layers]]\ntype = 'dense'\nunits = 4\n";
    let network = Network::from_toml("linear", text).unwrap();
    let mut weights = network.initialize(1);
    weights.values[0].fill(1e-30);
    (network, weights)
}

/// Large weights of alternating sign, so that the gradients of the scores do not cancel.
fn alternating(weights: &mut [f32], size: f32) {
    for (index, weight) in weights.iter_mut().enumerate() {
        *weight = if index % 2 == 0 { size } else { -size };
    }
}

#[test]
fn backward_passes_and_the_update_are_named_too() {
    let data = data(60, 10);
    let one = TrainOptions { batch_size: 1, every_step: false, ..options() };
    for device in &devices() {
        let (network, mut weights) = linear();
        // The scores are up to 1e-30 * 180 * 8 * 3e38, the gradient of the hidden layer is 2 * 3e38.
        alternating(&mut weights.values[2], 3e38);
        let message = failure(device, &network, &data, one.clone(), &weights);
        assert_names(&message, 1, "dense2.backward_input", device);

        // Gradients are finite, but 1000 times as much is not. The loss of this step is still finite, so the error
        // comes with the next.
        let (network, mut weights) = linear();
        alternating(&mut weights.values[2], 3e36);
        let options = TrainOptions { learning_rate: 1000.0, ..one.clone() };
        let message = failure(device, &network, &data, options, &weights);
        assert!(message.starts_with("the loss of step 2 "), "{message}");
        assert_names(&message, 1, "sgd.update", device);
    }
}

/// Several steps, and even epochs, after the start: the search starts at the last checkpoint.
#[test]
fn a_slow_divergence_is_traced_to_its_step() {
    let (network, _) = linear();
    let mut data = data(100, 10);
    let mut labels = data.train.labels().to_vec();
    labels.rotate_left(1);
    data.train = data.train.with_labels(labels).unwrap();
    for device in &devices() {
        let options = TrainOptions {
            epochs: 50,
            learning_rate: 60.0,
            step: StepOptions { optimizer: Optimizer::sgd(0.0), ..options().step },
            ..options()
        };
        let message = failure(device, &network, &data, options, &network.initialize(1));
        println!("{}: {message}", device.description);
        let number = |text: &str| -> usize { text.split(' ').next().unwrap().trim_end_matches(':').parse().unwrap() };
        let seen = number(message.strip_prefix("the loss of step ").unwrap());
        let origin = number(message.split_once("\nstep ").unwrap_or_else(|| panic!("{message}")).1);
        assert!(origin == seen || origin + 1 == seen, "{message}");
        assert!(seen > 1, "not slow: {message}");
    }
}

/// A healthy step gives no message, and has its usual effect.
#[test]
fn a_healthy_step_is_only_a_step() {
    let (network, data) = (model(), data(60, 10));
    for device in &devices() {
        let compiled = network
            .compile(&CompileOptions {
                batch: 20,
                train_images: 60,
                test_images: 10,
                step: StepOptions::default(),
                slots: 3,
                ..CompileOptions::default()
            })
            .unwrap();
        let mut machine = Machine::new(device, compiled).unwrap();
        let (train, test) = (machine.compiled.tensors.train.unwrap(), machine.compiled.tensors.test.unwrap());
        let sets: [(_, &Dataset); 2] = [(train, &data.train), (test, &data.test)];
        let mut learned = Vec::new();
        for checked in [false, true] {
            sets.iter().for_each(|(to, set)| machine.load_set(to, set));
            machine.write_weights(&network.initialize(1));
            machine.write_optimizer_states(&network.initialize(1), &[]).unwrap();
            for step in Step::epoch(60, 20, 0, 1, 0.1) {
                if checked {
                    let found = pollster::block_on(machine.first_not_finite(Section::Train, step)).unwrap();
                    assert_eq!(found, None, "{}", device.description);
                } else {
                    machine.run(Section::Train, &[step]).unwrap();
                }
            }
            let step = Step::epoch(10, 20, 0, 0, 0.0)[0];
            assert_eq!(pollster::block_on(machine.first_not_finite(Section::Evaluate, step)).unwrap(), None);
            learned.push(pollster::block_on(machine.read_weights()).unwrap());
        }
        assert!(learned[0] == learned[1], "{}: the search changes the weights", device.description);
        assert!(learned[0] != network.initialize(1));
    }
}
