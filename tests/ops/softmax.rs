use crate::common::{Case, U, Values, integers, random};
use shadegrad::ops::Step;
use shadegrad::ops::softmax::{Cost, Forward, Loss, NO_PREDICTION};

const COSTS: [Cost; 2] = [Cost::CrossEntropy, Cost::Quadratic];

/// N, number of classes: one row, one class, one below, at and above a workgroup, classes by the thousand.
const SHAPES: [(usize, usize); 10] =
    [(1, 1), (1, 2), (1, 10), (2, 3), (63, 10), (64, 5), (65, 17), (257, 10), (2, 1009), (3, 4096)];

/// What is not an element of a row's sum: below that, drivers may flush to zero.
const TINY: f64 = f32::MIN_POSITIVE as f64;

fn forward(batch: usize, classes: usize, x: &[f32]) -> Case {
    Case::new(Forward { batch, classes }, vec![("x", Values::Real(x.to_vec()))])
}

/// Predictions start as a class that does not exist, so that one left out shows.
fn loss(cost: Cost, classes: usize, x: &[f32], targets: &[u32], count: usize) -> Case {
    let batch = targets.len();
    let given = vec![
        ("x", Values::Real(x.to_vec())),
        ("targets", Values::Int(targets.to_vec())),
        ("prediction", Values::Int(vec![12_345; batch])),
    ];
    let step = Step { first: 3, count: count as u32, ..Step::default() };
    Case::new(Loss { batch, classes, cost }, given).with_step(step)
}

/// Logits in [-8, 8) and any targets.
fn operands(batch: usize, classes: usize) -> (Vec<f32>, Vec<u32>) {
    let x = random(batch * classes, 1).iter().map(|v| v * 8.0).collect();
    (x, (0..batch).map(|n| (n * 7 % classes) as u32).collect())
}

/// Error of the probability a, in u. With t = x - max: the subtraction, rounded, and exp, granted 3 + 2 |t| ULP, make each
/// power wrong by (3 + 2.5 |t|) u of itself, and |t| exp(t) < 0.4; so their sum, which is at least 1, is wrong by less than
/// (3 + C) u for that and C u for adding C of them; the division takes 2.5 ULP. As a <= exp(t), a |t| < 0.4 as well.
fn probability_error(classes: usize, a: f64) -> f64 {
    (2.0 * classes as f64 + 9.0) * a + 1.0
}

/// Bounds of dx, given the probabilities.
fn gradient_bound(cost: Cost, classes: usize, count: usize, a: &[f64]) -> Vec<f64> {
    let c = classes as f64;
    let error = |a: f64| match cost {
        // e = a - 1 or a, divided by count: three more roundings of what is at most 1.
        Cost::CrossEntropy => probability_error(classes, a) + 4.0,
        // a (e - inner): the probability's error twice, for |e - inner| <= 2, and once more in e; inner, a sum of C terms
        // with sum |a e| <= 1, is wrong by (5 C + 23) u; seven roundings.
        Cost::Quadratic => 2.0 * probability_error(classes, a) + a * (probability_error(classes, a) + 5.0 * c + 32.0),
    };
    a.iter().map(|a| error(*a) * U / count as f64 + c * TINY).collect()
}

/// Bounds of the loss.
fn loss_bound(cost: Cost, classes: usize, loss: &[f64]) -> Vec<f64> {
    let c = classes as f64;
    let error = |loss: f64| match cost {
        // The sum's relative error is the logarithm's absolute one; log itself is granted 2^-21 or 3 ULP, and neither
        // summand is above the loss.
        Cost::CrossEntropy => 2.0 * c + 7.0 + 4.0 * loss,
        // Each e by its own error, weighted by |e|, of which sum |e| <= 2; then a sum of C terms, at most 1 together.
        Cost::Quadratic => 3.0 * c + 15.0,
    };
    loss.iter().map(|loss| error(*loss) * U + c * TINY).collect()
}

/// The probabilities of the first `count` rows, zeros behind them.
fn probabilities(classes: usize, x: &[f32], count: usize) -> Vec<f64> {
    let mut a = forward(x.len() / classes, classes, x).expected().remove(0).1;
    a[count * classes..].fill(0.0);
    a
}

/// Gradients and losses within their bounds, predictions exactly; rows of the gradient add up to nothing, padding is
/// exactly zero.
fn check_loss(cost: Cost, classes: usize, x: &[f32], targets: &[u32], count: usize) {
    let a = probabilities(classes, x, count);
    let gradient = gradient_bound(cost, classes, count.max(1), &a);
    let padding = |from: usize, mut bound: Vec<f64>| {
        bound[from..].fill(0.0);
        bound
    };
    let case = loss(cost, classes, x, targets, count);
    case.check(|name, expected| match name {
        "dx" => padding(count * classes, gradient.clone()),
        "loss" => padding(count, loss_bound(cost, classes, expected)),
        _ => vec![0.0; expected.len()],
    });
    for (variant, got) in case.run_everywhere() {
        let dx = got[0].real();
        for (n, (dx, bound)) in dx.chunks(classes).zip(gradient.chunks(classes)).enumerate() {
            let sum: f64 = dx.iter().map(|v| f64::from(*v)).sum();
            let bound: f64 = bound.iter().sum();
            assert!(sum.abs() <= bound, "{cost:?} {variant}: gradients of row {n} add up to {sum:e}, bound {bound:e}");
        }
    }
}

fn close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        // The inputs are f32.
        assert!((got - expected).abs() < 1e-7, "got {got}, expected {expected}");
    }
}

#[test]
fn reference_by_hand() {
    // Probabilities 1/4 and 3/4; a tie; padding.
    let x = [0.0, 3f32.ln(), 2.0, 2.0, 5.0, 6.0];
    close(&forward(2, 2, &x[..4]).expected()[0].1, &[0.25, 0.75, 0.5, 0.5]);
    let expected = loss(Cost::CrossEntropy, 2, &x, &[1, 0, 1], 2).expected();
    close(&expected[0].1, &[0.125, -0.125, -0.25, 0.25, 0.0, 0.0]);
    close(&expected[1].1, &[(4f64 / 3.0).ln(), 2f64.ln(), 0.0]);
    assert_eq!(expected[2].1, [1.0, 0.0, f64::from(NO_PREDICTION)]);
    let expected = loss(Cost::Quadratic, 2, &x, &[1, 0, 1], 2).expected();
    close(&expected[0].1, &[0.046875, -0.046875, -0.125, 0.125, 0.0, 0.0]);
    close(&expected[1].1, &[0.0625, 0.25, 0.0]);
    assert_eq!(expected[2].1, [1.0, 0.0, f64::from(NO_PREDICTION)]);
}

/// Against the slope of the mean loss between two points; logits are chosen so that both are f32.
#[test]
fn reference_gradients_are_the_slope_of_the_mean_loss() {
    const H: f32 = 1.0 / 1024.0;
    let (batch, count, classes) = (4, 3, 5);
    let x: Vec<f32> = integers(batch * classes, 128, 3).iter().map(|v| v / 64.0).collect();
    let targets = [4, 0, 2, 1];
    for cost in COSTS {
        let mean =
            |x: &[f32]| loss(cost, classes, x, &targets, count).expected()[1].1.iter().sum::<f64>() / count as f64;
        let dx = loss(cost, classes, &x, &targets, count).expected().remove(0).1;
        for i in 0..x.len() {
            let (mut below, mut above) = (x.clone(), x.clone());
            below[i] -= H;
            above[i] += H;
            let slope = (mean(&above) - mean(&below)) / f64::from(2.0 * H);
            // A third derivative of the loss, below 1, times h^2 / 6.
            assert!((slope - dx[i]).abs() <= 2e-7, "{cost:?} dx[{i}]: {} against a slope of {slope}", dx[i]);
        }
    }
}

#[test]
fn forward_agrees_with_the_reference() {
    for (batch, classes) in SHAPES {
        let (x, _) = operands(batch, classes);
        let bound = |a: &f64| probability_error(classes, *a) * U + TINY;
        forward(batch, classes, &x).check(|_, expected| expected.iter().map(bound).collect());
    }
}

#[test]
fn loss_agrees_with_the_reference() {
    for (batch, classes) in SHAPES {
        let (x, targets) = operands(batch, classes);
        for cost in COSTS {
            check_loss(cost, classes, &x, &targets, batch);
        }
    }
}

#[test]
fn rows_behind_the_count_are_padding() {
    let (batch, classes) = (67, 10);
    let (mut x, targets) = operands(batch, classes);
    for count in [0, 1, 63, 66] {
        // Whatever stands there.
        x[count * classes..].fill(1e30);
        x[batch * classes - 1] = f32::NAN;
        for cost in COSTS {
            check_loss(cost, classes, &x, &targets, count);
        }
        (x, _) = operands(batch, classes);
    }
}

/// exp of such logits is out of range, of their differences it is not; the gradients are 0, 1 or -1 over count.
#[test]
fn huge_logits_stay_in_range() {
    let x = [1e4, -1e4, 0.0, -1e4, -1.1e4, -1.2e4, 9999.0, 1e4, 1e4, 1e30, -1e30, 1e30, -1e30, -1e30, -1e30];
    for target in 0..3 {
        for cost in COSTS {
            check_loss(cost, 3, &x, &[target; 5], 5);
        }
    }
    forward(5, 3, &x).check(|_, expected| expected.iter().map(|a| probability_error(3, *a) * U + TINY).collect());
}

/// Small whole numbers: nearly every row has its largest logit more than once.
#[test]
fn of_equal_logits_the_first_is_predicted() {
    let (batch, classes) = (130, 7);
    let mut x = integers(batch * classes, 1, 5);
    x[..classes].fill(-3.0);
    x[classes..2 * classes].fill(0.0);
    x[2 * classes - 1] = -0.0;
    let (_, targets) = operands(batch, classes);
    for cost in COSTS {
        let case = loss(cost, classes, &x, &targets, batch);
        let first = |row: &[f32]| row.iter().position(|v| row.iter().all(|other| v >= other)).unwrap() as u32;
        let expected: Vec<u32> = x.chunks(classes).map(first).collect();
        for (variant, got) in case.run_everywhere() {
            assert_eq!(got[2].bits, expected, "{cost:?} {variant}");
        }
    }
}

/// A network that has diverged must show: a NaN logit anywhere makes its row's loss a NaN, and no other's.
#[test]
fn a_nan_logit_is_not_hidden() {
    let classes = 5;
    for place in 0..classes {
        let (mut x, targets) = operands(3, classes);
        x[classes + place] = f32::NAN;
        for cost in COSTS {
            let case = loss(cost, classes, &x, &targets, 3);
            for (variant, got) in case.run_everywhere() {
                let nan: Vec<bool> = got[1].real().iter().map(|v| v.is_nan()).collect();
                assert_eq!(nan, [false, true, false], "{cost:?} {variant}, NaN at class {place}");
            }
        }
    }
}
