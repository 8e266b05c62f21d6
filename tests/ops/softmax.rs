use crate::common::{Asserts, Case, agrees, integers, random};
use shadegrad::ops::softmax::{Cost, Forward, Loss, NO_PREDICTION};

/// Each cost with its label smoothing.
const COSTS: [(Cost, f32); 3] = [(Cost::CrossEntropy, 0.0), (Cost::Quadratic, 0.0), (Cost::CrossEntropy, 0.1)];

fn forward(batch: usize, classes: usize, x: &[f32]) -> Case {
    Forward { batch, classes }.case(x)
}

fn loss((cost, smoothing): (Cost, f32), classes: usize, x: &[f32], targets: &[u32], count: usize) -> Case {
    Loss { batch: targets.len(), classes, cost, smoothing }.case(x, targets, count)
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
    close(&forward(2, 2, &x[..4]).reference::<f64>()[0].1, &[0.25, 0.75, 0.5, 0.5]);
    let expected = loss(COSTS[0], 2, &x, &[1, 0, 1], 2).reference::<f64>();
    close(&expected[0].1, &[0.125, -0.125, -0.25, 0.25, 0.0, 0.0]);
    close(&expected[1].1, &[(4f64 / 3.0).ln(), 2f64.ln(), 0.0]);
    assert_eq!(expected[2].1, [1.0, 0.0, f64::from(NO_PREDICTION)]);
    let expected = loss(COSTS[1], 2, &x, &[1, 0, 1], 2).reference::<f64>();
    close(&expected[0].1, &[0.046875, -0.046875, -0.125, 0.125, 0.0, 0.0]);
    close(&expected[1].1, &[0.0625, 0.25, 0.0]);
    assert_eq!(expected[2].1, [1.0, 0.0, f64::from(NO_PREDICTION)]);
    // Targets of 1/4 and 3/4, which are the probabilities in the first row; the loss is then the entropy.
    let expected = loss((Cost::CrossEntropy, 0.5), 2, &x, &[1, 0, 1], 2).reference::<f64>();
    close(&expected[0].1, &[0.0, 0.0, -0.125, 0.125, 0.0, 0.0]);
    close(&expected[1].1, &[0.25 * 4f64.ln() + 0.75 * (4f64 / 3.0).ln(), 2f64.ln(), 0.0]);
    assert_eq!(expected[2].1, [1.0, 0.0, f64::from(NO_PREDICTION)]);
}

/// Compares with the slope of the mean loss between two points; logits are chosen such that both are exact in f32.
#[test]
fn reference_gradients_are_the_slope_of_the_mean_loss() {
    const H: f32 = 1.0 / 1024.0;
    let (batch, count, classes) = (4, 3, 5);
    let x: Vec<f32> = integers(batch * classes, 128, 3).iter().map(|v| v / 64.0).collect();
    let targets = [4, 0, 2, 1];
    for cost in COSTS {
        let mean = |x: &[f32]| {
            loss(cost, classes, x, &targets, count).reference::<f64>()[1].1.iter().sum::<f64>() / count as f64
        };
        let dx = loss(cost, classes, &x, &targets, count).reference::<f64>().remove(0).1;
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
    agrees("softmax.forward");
}

#[test]
fn loss_agrees_with_the_reference() {
    agrees("softmax.loss");
}

/// The gradients of each row sum to zero.
#[test]
fn gradients_of_a_row_cancel() {
    for (batch, classes) in [(65, 17), (2, 1009)] {
        let x: Vec<f32> = random(batch * classes, 1).iter().map(|v| v * 8.0).collect();
        let targets: Vec<u32> = (0..batch).map(|n| (n * 7 % classes) as u32).collect();
        for cost in COSTS {
            let (cost, smoothing) = cost;
            let op = Loss { batch, classes, cost, smoothing };
            let gradient = op.gradient_bound(&x, batch);
            for (variant, got) in op.case(&x, &targets, batch).run_everywhere() {
                let dx = got[0].real();
                for (n, (dx, bound)) in dx.chunks(classes).zip(gradient.chunks(classes)).enumerate() {
                    let sum: f64 = dx.iter().map(|v| f64::from(*v)).sum();
                    let bound: f64 = bound.iter().sum();
                    assert!(sum.abs() <= bound, "{cost:?} {variant}: row {n} adds up to {sum:e}, bound {bound:e}");
                }
            }
        }
    }
}

/// Small whole numbers: in nearly every row the largest logit occurs more than once.
#[test]
fn of_equal_logits_the_first_is_predicted() {
    let (batch, classes) = (130, 7);
    let mut x = integers(batch * classes, 1, 5);
    x[..classes].fill(-3.0);
    x[classes..2 * classes].fill(0.0);
    x[2 * classes - 1] = -0.0;
    let targets = vec![0; batch];
    for cost in COSTS {
        let case = loss(cost, classes, &x, &targets, batch);
        let first = |row: &[f32]| row.iter().position(|v| row.iter().all(|other| v >= other)).unwrap() as u32;
        let expected: Vec<u32> = x.chunks(classes).map(first).collect();
        for (variant, got) in case.run_everywhere() {
            assert_eq!(got[2].bits, expected, "{cost:?} {variant}");
        }
    }
}

/// A diverged network must be noticed: a NaN logit makes the loss of its row a NaN, but no other's.
#[test]
fn a_nan_logit_is_not_hidden() {
    let classes = 5;
    for place in 0..classes {
        let (mut x, targets) = (random(3 * classes, 1), [0, 1, 2]);
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
