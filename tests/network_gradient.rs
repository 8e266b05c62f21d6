//! Whole networks on the CPU machine: their gradient compared with differences of the loss, and whether they learn.
//!
//! Each pass has such a test of its own; this one tests the backward walk. It detects a derivative that two layers
//! apply, or none, and a gradient that is read after its storage was reused.

use shadegrad::network::{CompileOptions, Compiled, Network};
use shadegrad::ops::Step;
use shadegrad::ops::softmax::Cost;
use shadegrad::plan::Pass;
use shadegrad::reference::{Real, ReferenceBackend};
use shadegrad::train::{Optimizer, StepOptions};

/// Every kind of layer, with activations after convolutions, pools, norms, a flatten and each other.
const LAYERS: &str = r#"
input = [10, 9, 2]

[[layers]]
type = "dropout"
rate = 0.1
[[layers]]
type = "conv2d"
filters = 3
kernel = [3, 2]
padding = "same"
activation = "tanh"
[[layers]]
type = "max_pool2d"
size = 2
stride = 1
[[layers]]
type = "relu"
[[layers]]
type = "conv2d"
filters = 4
kernel = 3
stride = 2
padding = [1, 1]
activation = "sigmoid"
[[layers]]
type = "batch_norm"
epsilon = 0.1                   # or the difference would see the curve of a normalisation by next to nothing
activation = "tanh"
[[layers]]
type = "dropout"
rate = 0.3
[[layers]]
type = "l2_pool2d"
size = 2
stride = 1
[[layers]]
type = "average_pool2d"
size = 2
stride = 1
[[layers]]
type = "min_pool2d"
size = [2, 1]
stride = 1
[[layers]]
type = "flatten"
[[layers]]
type = "tanh"
[[layers]]
type = "dense"
units = 6
activation = "sigmoid"
[[layers]]
type = "tanh"
[[layers]]
type = "batch_norm"
momentum = 0.2
epsilon = 0.1
[[layers]]
type = "dropout"
rate = 0.2
[[layers]]
type = "dense"
units = 5
activation = "relu"
[[layers]]
type = "flatten"
[[layers]]
type = "dense"
units = 3
"#;

/// A machine that holds a data set of noise, and weights.
fn machine<F: Real>(network: &Network, compiled: &Compiled, images: usize) -> ReferenceBackend<F> {
    let mut machine = ReferenceBackend::<F>::new(&compiled.plan);
    let data = compiled.tensors.train.unwrap();
    let region = |id| compiled.plan.get(id).region;
    let mut state = 1u32;
    for word in machine.int(region(data.images)) {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *word = state ^ state >> 15;
    }
    for (index, label) in machine.int(region(data.labels)).iter_mut().enumerate() {
        *label = (index * 2 % network.classes()) as u32;
    }
    for (index, order) in machine.int(region(data.order)).iter_mut().enumerate() {
        *order = (images - 1 - index) as u32;
    }
    for (id, values) in compiled.tensors.parameters.iter().zip(network.initialize(11).values) {
        for (index, (weight, value)) in machine.real(region(*id)).iter_mut().zip(values).enumerate() {
            // Biases too are nonzero and distinct.
            *weight = F::of(if value == 0.0 { 0.1 + 0.01 * index as f64 } else { f64::from(value) });
        }
    }
    machine
}

fn run<F: Real>(machine: &mut ReferenceBackend<F>, compiled: &Compiled, step: Step, wanted: impl Fn(&Pass) -> bool) {
    for pass in compiled.train.iter().filter(|pass| wanted(pass)) {
        machine.run(&compiled.plan, pass, step);
    }
}

fn check_gradient(text: &str, cost: Cost, label_smoothing: f32) {
    let network = Network::from_toml("test", text).unwrap();
    let (batch, images) = (4, 5);
    let cost = Some(cost);
    let step = StepOptions { loss: cost, label_smoothing, ..CompileOptions::default().step };
    let options = CompileOptions { batch, train_images: images, slots: 3, step, ..Default::default() };
    let compiled = network.compile(&options).unwrap();
    let mut machine = machine::<f64>(&network, &compiled, images);
    // Three of four rows are images: the gradient is that of their mean.
    let step = Step { seed_low: 3, step: 2, first: 2, count: 3, slot: 1, ..Default::default() };
    let losses = compiled.plan.get(compiled.tensors.scores.unwrap().losses).region;
    run(&mut machine, &compiled, step, |pass| pass.label != "sgd.update");
    let forward: Vec<&str> = compiled.train.iter().map(|pass| pass.label.as_str()).collect();
    let end = forward.iter().position(|label| *label == "score").unwrap();
    let forward = &forward[..=end];
    let mut worst = 0.0f64;
    let parameters = network.parameters();
    for (index, of) in parameters.iter().enumerate().filter(|(_, of)| of.parameter.is_learned) {
        let region = compiled.plan.get(compiled.tensors.parameters[index]).region;
        let gradient = compiled.plan.get(compiled.tensors.parameter_gradients[index]).region;
        let analytic = machine.real(gradient).to_vec();
        assert!(analytic.iter().any(|value| value.abs() > 1e-6), "{}: no gradient arrives", of.tensor);
        for (element, analytic) in analytic.into_iter().enumerate() {
            // The error of the difference is of order h^2 times the third derivative, plus rounding of u / h.
            const H: f64 = 1e-5;
            let held = machine.real(region)[element];
            let mut loss_at = |value: f64| {
                machine.real(region)[element] = value;
                run(&mut machine, &compiled, step, |pass| forward.contains(&pass.label.as_str()));
                machine.real(losses)[1] / 3.0
            };
            let numeric = (loss_at(held + H) - loss_at(held - H)) / (2.0 * H);
            loss_at(held);
            let error = (numeric - analytic).abs();
            let bound = 1e-10 + 1e-7 * analytic.abs();
            assert!(error <= bound, "{}[{element}]: {analytic} against the difference {numeric}", of.tensor);
            worst = worst.max(error / bound);
        }
    }
    println!("{cost:?} {label_smoothing}: {} gradients, worst {worst:.3} of the bound", network.parameter_count());
}

#[test]
fn gradients_match_differences_of_the_loss() {
    check_gradient(LAYERS, Cost::CrossEntropy, 0.0);
    check_gradient(LAYERS, Cost::CrossEntropy, 0.2);
    check_gradient(LAYERS, Cost::Quadratic, 0.0);
}

#[test]
fn gradients_match_with_an_activation_at_the_end() {
    let text = format!("{LAYERS}activation = \"sigmoid\"\n[[layers]]\ntype = \"tanh\"\n");
    check_gradient(&text, Cost::CrossEntropy, 0.1);
    check_gradient(&text, Cost::Quadratic, 0.0);
}

/// The losses of steps on one batch.
fn overfit(model: &str, cost: Cost, learning_rate: f32, momentum: f32, steps: usize) -> Vec<f32> {
    let network = Network::from_toml("test", model).unwrap();
    let images = 6;
    let options = CompileOptions {
        batch: images,
        train_images: images,
        slots: steps,
        step: StepOptions {
            loss: Some(cost),
            optimizer: Optimizer::Sgd { momentum, nesterov: momentum > 0.0 },
            ..StepOptions::default()
        },
        ..Default::default()
    };
    let compiled = network.compile(&options).unwrap();
    let mut machine = machine::<f32>(&network, &compiled, images);
    for step in 0..steps as u32 {
        let step = Step { step, count: images as u32, slot: step, learning_rate, ..Default::default() };
        run(&mut machine, &compiled, step, |_| true);
    }
    // Gaps between parameters stay zero.
    let weights = compiled.plan.get(compiled.tensors.weights).region;
    let used: usize = compiled.tensors.parameters.iter().map(|id| compiled.plan.get(*id).region.len).sum();
    let zeros = machine.real(weights).iter().filter(|value| **value == 0.0).count();
    assert!(zeros >= weights.len - used, "the storage's gaps have changed");
    machine.real(compiled.plan.get(compiled.tensors.scores.unwrap().losses).region).to_vec()
}

const SMALL: &str = "input = [6, 6, 1]\n[[layers]]\ntype = 'conv2d'\nfilters = 4\nkernel = 3\nactivation = 'relu'\n\
                     [[layers]]\ntype = 'max_pool2d'\nsize = 2\n[[layers]]\ntype = 'flatten'\n\
                     [[layers]]\ntype = 'dense'\nunits = 8\nactivation = 'relu'\n\
                     [[layers]]\ntype = 'dense'\nunits = 3\n";

#[test]
fn ten_steps_on_one_batch_reduce_its_loss() {
    for (cost, momentum, rate) in
        [(Cost::CrossEntropy, 0.0, 0.2), (Cost::CrossEntropy, 0.9, 0.05), (Cost::Quadratic, 0.9, 0.1)]
    {
        let losses = overfit(SMALL, cost, rate, momentum, 10);
        println!("{cost:?}, momentum {momentum}: {losses:?}");
        assert!(losses[9] < 0.9 * losses[0], "{cost:?}, momentum {momentum}: {losses:?}");
    }
}
