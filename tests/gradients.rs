//! Checks each backward reference against central differences of its forward reference, in f64.
//!
//! An operation is placed in the middle of a small net: `z -> producer -> x -> forward -> y`. The scalar that is
//! differentiated is the sum of `y` multiplied by fixed random weights. These weights are the incoming gradient, so an
//! operation that ignores it cannot pass, nor can one that ignores the producer's derivative.

mod common;

use common::{integers, random};
use shadegrad::ops::dropout::Mask;
use shadegrad::ops::{Activation, Op, Step, activation, batch_norm, conv2d, dense, dropout, pool2d, softmax};
use shadegrad::plan::{Element, Plan, TensorId};
use shadegrad::reference::ReferenceBackend;
use shadegrad::shape::{Padding, Window2d};

/// Step of the differences. Their error is about `H^2 / 6` times the third derivative, 2e-11 if that is 1, plus the
/// rounding of the sum divided by `2 H`, some 1e-11.
const H: f64 = 1e-5;

/// Largest difference allowed, relative to 1 + |expected|: leaves room for sums and third derivatives of a hundred and
/// more, while a wrong factor or index causes at least 1e-3.
const TOLERANCE: f64 = 1e-7;

const ACTIVATIONS: [Activation; 4] = [Activation::Identity, Activation::Relu, Activation::Sigmoid, Activation::Tanh];

/// Tensors by their names in operations.
type Named<T> = Vec<(&'static str, Vec<T>)>;

fn find<'a, T>(tensors: &'a Named<T>, name: &str) -> Option<&'a Vec<T>> {
    tensors.iter().find(|(known, _)| *known == name).map(|(_, values)| values)
}

/// Integer tensors that are passed between passes as numbers.
const INTEGERS: [&str; 2] = ["prediction", "m"];

/// Inputs of both sides of a check, apart from the floating-point tensors.
#[derive(Clone, Default)]
struct Setting {
    /// The per-step uniform.
    step: Step,
    /// Integer tensors such as `targets`.
    integers: Named<u32>,
}

/// Runs one pass on the reference; its inputs are looked up by name.
fn run<O: Op + Copy + 'static>(op: O, inputs: &Named<f64>, setting: &Setting) -> Named<f64> {
    let mut plan = Plan::default();
    let mut add = |(name, len): (&'static str, usize)| {
        let integer = INTEGERS.contains(&name) || find(&setting.integers, name).is_some();
        plan.tensor(name, &[len], if integer { Element::Int } else { Element::Real })
    };
    let read: Vec<TensorId> = op.inputs().into_iter().map(&mut add).collect();
    let written: Vec<TensorId> = op.outputs().into_iter().map(&mut add).collect();
    let pass = plan.pass(op.name(), op, &read, &written);
    let mut machine = ReferenceBackend::<f64>::new(&plan);
    for ((name, _), id) in op.inputs().iter().zip(&read) {
        let region = plan.get(*id).region;
        match (find(inputs, name), find(&setting.integers, name)) {
            (Some(values), _) if INTEGERS.contains(name) => {
                machine.int(region).iter_mut().zip(values).for_each(|(to, from)| *to = *from as u32);
            }
            (Some(values), _) => machine.real(region).copy_from_slice(values),
            (_, Some(values)) => machine.int(region).copy_from_slice(values),
            _ => panic!("{}: no values for {name}", op.name()),
        }
    }
    machine.run(&plan, &pass, setting.step);
    let mut values = |name: &str, id: TensorId| {
        let region = plan.get(id).region;
        match INTEGERS.contains(&name) {
            true => machine.int(region).iter().map(|integer| f64::from(*integer)).collect(),
            false => machine.real(region).to_vec(),
        }
    };
    op.outputs().into_iter().zip(&written).map(|((name, _), id)| (name, values(name, *id))).collect()
}

/// The output with this name.
fn output(outputs: Named<f64>, name: &str) -> Vec<f64> {
    find(&outputs, name).unwrap_or_else(|| panic!("no output {name}")).clone()
}

/// d loss / d at[i], for every i.
fn differences(at: &[f64], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut at = at.to_vec();
    (0..at.len())
        .map(|i| {
            let middle = at[i];
            at[i] = middle + H;
            let above = loss(&at);
            at[i] = middle - H;
            let below = loss(&at);
            at[i] = middle;
            (above - below) / (2.0 * H)
        })
        .collect()
}

fn compare(what: &str, got: &[f64], expected: &[f64]) {
    let bound: Vec<f64> = expected.iter().map(|e| TOLERANCE * (1.0 + e.abs())).collect();
    common::compare(what, got, expected, &bound);
    // If all were zero, an operation that does nothing would pass.
    assert!(expected.iter().any(|e| e.abs() > 1e-3), "{what}: every gradient is zero, which checks nothing");
}

/// A forward pass in the middle of a net.
struct Middle<O> {
    forward: O,
    /// The activation f in `x = f(z)`.
    producer: Activation,
    /// The dropout behind f: `x` is dropped.
    dropped: Option<Mask>,
    /// The activation in the epilogue of the forward pass: its backward passes get the gradient before it.
    epilogue: Activation,
    /// The dropout behind that.
    dropout: Option<Mask>,
    /// The inputs, with z in place of `x`.
    given: Named<f64>,
    setting: Setting,
}

impl<O: Op + Copy + 'static> Middle<O> {
    fn new(forward: O, given: Named<f64>) -> Self {
        let setting =
            Setting { step: Step { seed_low: 5, step: 2, count: u32::MAX, ..Step::default() }, ..Setting::default() };
        let (producer, epilogue) = (Activation::Identity, Activation::Identity);
        Middle { forward, producer, dropped: None, epilogue, dropout: None, given, setting }
    }

    fn producer(self, producer: Activation) -> Self {
        Middle { producer, ..self }
    }

    fn epilogue(self, epilogue: Activation) -> Self {
        Middle { epilogue, ..self }
    }

    /// Dropout before and behind the pass.
    fn dropouts(self, dropped: Option<Mask>, dropout: Option<Mask>) -> Self {
        Middle { dropped, dropout, ..self }
    }

    /// The inputs of the pass with `x = f(z)`, and its outputs.
    fn forward(&self, given: &Named<f64>) -> Named<f64> {
        let mut tensors = given.clone();
        if let Some((_, x)) = tensors.iter_mut().find(|(name, _)| *name == "x") {
            let op = activation::Forward { activation: self.producer, len: x.len() };
            *x = output(run(op, &vec![("x", x.clone())], &self.setting), "y");
            if let Some(mask) = self.dropped {
                let op = dropout::Forward { len: x.len(), mask };
                *x = output(run(op, &vec![("x", x.clone())], &self.setting), "y");
            }
        }
        tensors.extend(run(self.forward, &tensors, &self.setting));
        tensors
    }

    // ANCHOR: check
    /// Checks that `backward` writes to `gradient` the derivative with respect to the input `of`.
    fn check(&self, backward: impl Op + Copy + 'static, gradient: &str, of: &'static str) {
        let mut tensors = self.forward(&self.given);
        let y = output(tensors.clone(), "y");
        let weights: Vec<f64> = numbers(y.len(), 99).iter().map(|w| 2.0 * w).collect();
        // First behind the dropout, then before it, where y is smaller by the share of what is kept.
        let (mut arrived, mut z) = (weights.clone(), y.clone());
        if let Some(mask) = self.dropout {
            let through = dropout::Backward { len: y.len(), mask, producer: Activation::Identity };
            arrived = output(run(through, &vec![("dy", arrived)], &self.setting), "dx");
            z.iter_mut().for_each(|y| *y *= 1.0 - mask.rate);
        }
        let through = activation::Backward { activation: self.epilogue, len: y.len() };
        let dy = output(run(through, &vec![("y", z), ("dy", arrived)], &self.setting), "dx");
        tensors.push(("dy", dy));
        let got = output(run(backward, &tensors, &self.setting), gradient);

        let loss = |values: &[f64]| {
            let mut given = self.given.clone();
            given.iter_mut().filter(|(name, _)| *name == of).for_each(|(_, to)| *to = values.to_vec());
            let y = output(self.forward(&given), "y");
            y.iter().zip(&weights).map(|(y, weight)| y * weight).sum::<f64>()
        };
        let expected = differences(find(&self.given, of).unwrap(), loss);
        compare(&format!("{backward:?} {gradient}"), &got, &expected);
    }
    // ANCHOR_END: check
}

/// No dropout, and dropout of half of the elements; 1 / (1 - rate) and 1 - rate are exact then.
fn masks(width: usize) -> [Option<Mask>; 2] {
    [None, Some(Mask { rate: 0.5, layer: 6, width })]
}

/// Numbers in [-1, 1).
fn numbers(len: usize, seed: u64) -> Vec<f64> {
    random(len, seed).into_iter().map(f64::from).collect()
}

/// Numbers at least 0.1 away from 0, where ReLU is not differentiable.
fn off_zero(len: usize, seed: u64) -> Vec<f64> {
    numbers(len, seed).into_iter().map(|v| if v < 0.0 { v - 0.1 } else { v + 0.1 }).collect()
}

/// Distinct numbers, none near 0: evenly spaced in [-1, 1), shuffled.
fn distinct(len: usize, seed: u64) -> Vec<f64> {
    let keys = random(len, seed);
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]));
    let mut values = vec![0.0; len];
    for (rank, i) in order.into_iter().enumerate() {
        let value = (2 * rank + 1) as f64 / len as f64 - 1.0;
        values[i] = if value == 0.0 { 0.5 / len as f64 } else { value };
    }
    values
}

fn window(batch: usize, shape: [usize; 3], kernel: [usize; 2], stride: [usize; 2], padding: Padding) -> Window2d {
    Window2d::new(batch, shape, kernel, stride, padding).unwrap()
}

#[test]
fn activation() {
    for activation in ACTIVATIONS {
        let len = 50;
        let middle = Middle::new(activation::Forward { activation, len }, vec![("x", off_zero(len, 1))]);
        middle.check(activation::Backward { activation, len }, "dx", "x");
    }
}

#[test]
fn pool2d() {
    let windows = [
        window(2, [4, 6, 2], [2, 2], [2, 2], Padding::Valid),
        window(2, [5, 5, 3], [3, 3], [1, 1], Padding::Valid),
        window(1, [7, 6, 2], [2, 3], [1, 2], Padding::Valid),
        window(2, [7, 8, 1], [2, 2], [3, 4], Padding::Valid),
        window(1, [4, 3, 4], [4, 3], [1, 1], Padding::Valid),
    ];
    for window in windows {
        for kind in [pool2d::Kind::Max, pool2d::Kind::Min, pool2d::Kind::Average, pool2d::Kind::L2] {
            for producer in ACTIVATIONS {
                let mut x = distinct(window.input_len(), 2);
                if producer == Activation::Relu && kind != pool2d::Kind::Max {
                    // Otherwise ReLU makes 0 the minimum of nearly every window, and puts norms where they are not
                    // differentiable.
                    x.iter_mut().for_each(|v| *v += 0.9437);
                }
                for dropout in masks(window.places() * window.channels / window.batch) {
                    let forward = pool2d::Forward { window, kind, keeps_m: kind.is_extreme(), dropout };
                    let middle =
                        Middle::new(forward, vec![("x", x.clone())]).producer(producer).dropouts(None, dropout);
                    middle.check(pool2d::Backward { window, kind, producer, dropout }, "dx", "x");
                }
            }
        }
    }
}

#[test]
fn dropout() {
    let (len, mask) = (60, Mask { rate: 0.4, layer: 3, width: 60 });
    for producer in ACTIVATIONS {
        let middle = Middle::new(dropout::Forward { len, mask }, vec![("x", off_zero(len, 3))]).producer(producer);
        middle.check(dropout::Backward { len, mask, producer }, "dx", "x");
    }
}

#[test]
fn dense() {
    let geometry = dense::Geometry { batch: 3, inputs: 7, outputs: 5 };
    for (producer, activation) in ACTIVATIONS.into_iter().flat_map(|f| ACTIVATIONS.map(|g| (f, g))) {
        for (dropped, dropout) in masks(7).into_iter().zip(masks(5)) {
            let given = vec![("x", off_zero(3 * 7, 4)), ("w", numbers(7 * 5, 5)), ("b", numbers(5, 6))];
            let forward = dense::Forward { geometry, activation, dropout };
            let middle = Middle::new(forward, given).producer(producer).epilogue(activation).dropouts(dropped, dropout);
            middle.check(dense::BackwardInput { geometry, producer, dropout: dropped }, "dx", "x");
            middle.check(dense::BackwardWeight { geometry }, "dw", "w");
            middle.check(dense::BackwardWeight { geometry }, "db", "b");
        }
    }
}

#[test]
fn conv2d() {
    let windows = [
        window(2, [5, 6, 2], [3, 3], [1, 1], Padding::Valid),
        window(2, [5, 4, 3], [3, 3], [1, 1], Padding::Same),
        window(1, [7, 6, 2], [2, 3], [2, 1], Padding::Explicit([1, 2])),
        window(2, [6, 7, 1], [2, 2], [3, 2], Padding::Valid),
        window(1, [4, 3, 2], [4, 3], [1, 1], Padding::Valid),
        window(3, [3, 3, 2], [1, 1], [1, 1], Padding::Valid),
    ];
    for (i, window) in windows.into_iter().enumerate() {
        let geometry = conv2d::Geometry { window, filters: 3 };
        for j in 0..ACTIVATIONS.len() {
            let (producer, activation) = (ACTIVATIONS[(i + j) % 4], ACTIVATIONS[j]);
            let x = off_zero(window.input_len(), 7);
            let given = vec![("x", x), ("w", numbers(geometry.weight_len(), 8)), ("b", numbers(3, 9))];
            let widths = [window.input_len(), 3 * window.places()].map(|len| len / window.batch);
            for (dropped, dropout) in masks(widths[0]).into_iter().zip(masks(widths[1])) {
                let forward = conv2d::Forward { geometry, activation, dropout };
                let middle = Middle::new(forward, given.clone())
                    .producer(producer)
                    .epilogue(activation)
                    .dropouts(dropped, dropout);
                middle.check(conv2d::BackwardInput { geometry, producer, dropout: dropped }, "dx", "x");
                middle.check(conv2d::BackwardWeight { geometry }, "dw", "w");
                middle.check(conv2d::BackwardWeight { geometry }, "db", "b");
            }
        }
    }
}

/// The loss is the end of a net, so there is no incoming gradient: the scalar is the mean loss of the rows that count.
#[test]
fn softmax_loss() {
    let (batch, classes) = (5, 7);
    let smooth = (softmax::Cost::CrossEntropy, 0.3);
    for (cost, smoothing) in [(softmax::Cost::CrossEntropy, 0.0), (softmax::Cost::Quadratic, 0.0), smooth] {
        for count in [1, 4, 5] {
            let targets = integers(batch, 3, 10).into_iter().map(|v| (v + 3.0) as u32).collect();
            let step = Step { count, ..Step::default() };
            let setting = Setting { step, integers: vec![("targets", targets)] };
            let op = softmax::Loss { batch, classes, cost, smoothing };
            let at = |x: &[f64]| run(op, &vec![("x", x.to_vec())], &setting);
            let x: Vec<f64> = numbers(batch * classes, 11).iter().map(|v| 3.0 * v).collect();
            let mean = |x: &[f64]| output(at(x), "loss").iter().sum::<f64>() / f64::from(count);
            compare(&format!("{op:?} of {count} dx"), &output(at(&x), "dx"), &differences(&x, mean));
        }
    }
}

/// There are two backward passes: the statistics of a channel depend on all rows of the batch, and so does every `dx`.
/// Rows of padding have no influence and no gradient.
#[test]
fn batch_norm() {
    let shapes = [(3, 5, 2, 3), (4, 4, 3, 2), (5, 1, 2, 4)];
    for (i, (batch, places, channels, count)) in shapes.into_iter().enumerate() {
        let geometry = batch_norm::Geometry { batch, places, channels };
        let (epsilon, momentum) = (1e-3, 0.1);
        for (producer, activation) in
            [(0, 1), (1, 0), (2, 3), (3, 2)].map(|(f, g)| (ACTIVATIONS[(f + i) % 4], ACTIVATIONS[g]))
        {
            let setting = Setting { step: Step { count, ..Step::default() }, ..Setting::default() };
            let rows = count as usize * places;
            let is_counted = |i: usize| i < rows * channels;
            let forward = |given: &Named<f64>| {
                let mut tensors = given.clone();
                let x = activation::Forward { activation: producer, len: geometry.elements() };
                let x = output(run(x, &vec![("x", find(given, "z").unwrap().clone())], &setting), "y");
                tensors.push(("x", x));
                let statistics = run(batch_norm::Statistics { geometry, momentum }, &tensors, &setting);
                tensors.extend(statistics);
                tensors.extend(run(batch_norm::Forward { geometry, epsilon, activation }, &tensors, &setting));
                tensors
            };
            let given = vec![
                ("z", off_zero(geometry.elements(), 1)),
                ("w", off_zero(channels, 2)),
                ("b", numbers(channels, 3)),
            ];
            let mut tensors = forward(&given);
            let y = output(tensors.clone(), "y");
            let weights: Vec<f64> = numbers(y.len(), 99)
                .into_iter()
                .enumerate()
                .map(|(i, w)| if is_counted(i) { 2.0 * w } else { 0.0 })
                .collect();
            let through = activation::Backward { activation, len: y.len() };
            tensors.push(("dy", output(run(through, &vec![("y", y), ("dy", weights.clone())], &setting), "dx")));
            tensors.extend(run(batch_norm::BackwardWeight { geometry, epsilon }, &tensors, &setting));
            tensors.extend(run(batch_norm::BackwardInput { geometry, epsilon, producer }, &tensors, &setting));
            for (of, gradient) in [("z", "dx"), ("w", "dw"), ("b", "db")] {
                let loss = |values: &[f64]| {
                    let mut given = given.clone();
                    given.iter_mut().filter(|(name, _)| *name == of).for_each(|(_, to)| *to = values.to_vec());
                    output(forward(&given), "y").iter().zip(&weights).map(|(y, weight)| y * weight).sum::<f64>()
                };
                let expected = differences(find(&given, of).unwrap(), loss);
                let what = format!("{geometry:?} of {count} {producer:?} {activation:?} {gradient}");
                compare(&what, find(&tensors, gradient).unwrap(), &expected);
            }
        }
    }
}
