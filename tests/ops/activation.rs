use crate::common::{Case, U, random};
use shadegrad::ops::activation::{Activation, Backward, Forward};

const ALL: [Activation; 4] = [Activation::Identity, Activation::Relu, Activation::Sigmoid, Activation::Tanh];

/// One below, at and above the workgroup of 64 vec4; a lone element; a prime.
const LENGTHS: [usize; 6] = [1, 3, 255, 256, 257, 1009];

/// WGSL allows exp 3 + 2|x| ULP, division 2.5 and tanh the error of its expression in exp; for |x| <= 8 that is below
/// 40 u of 1, and the functions are below 1.
fn bound(activation: Activation, expected: &[f64]) -> Vec<f64> {
    match activation {
        Activation::Identity | Activation::Relu => vec![0.0; expected.len()],
        Activation::Sigmoid | Activation::Tanh => vec![40.0 * U; expected.len()],
    }
}

#[test]
fn forward_agrees_with_the_reference() {
    for activation in ALL {
        for len in LENGTHS {
            let x: Vec<f32> = random(len, 1).iter().map(|v| v * 8.0).collect();
            Case::new(Forward { activation, len }, vec![("x", x.into())]).check(|_, e| bound(activation, e));
        }
    }
}

#[test]
fn backward_agrees_with_the_reference() {
    for activation in ALL {
        for len in LENGTHS {
            let y: Vec<f32> = random(len, 2).iter().map(|v| if v.abs() < 0.1 { 0.0 } else { *v }).collect();
            let given = vec![("y", y.into()), ("dy", random(len, 3).into())];
            // Three roundings of products and one of 1 - y, each of terms of at most 2.
            Case::new(Backward { activation, len }, given).check(|_, e| vec![4.0 * U; e.len()]);
        }
    }
}

#[test]
fn large_arguments_saturate_without_nan() {
    for (activation, low, high) in [(Activation::Sigmoid, 0.0, 1.0), (Activation::Tanh, -1.0, 1.0)] {
        let x = vec![-1e30, -100.0, 100.0, 1e30f32];
        let case = Case::new(Forward { activation, len: 4 }, vec![("x", x.into())]);
        assert_eq!(case.expected()[0].1.iter().map(|v| v.round()).collect::<Vec<_>>(), [low, low, high, high]);
        case.check(|_, e| vec![U; e.len()]);
    }
}
