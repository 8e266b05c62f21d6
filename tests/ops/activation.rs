use crate::common::{Case, agrees};
use shadegrad::ops::activation::{Activation, Forward};

#[test]
fn forward_agrees_with_the_reference() {
    agrees("activation.forward");
}

#[test]
fn backward_agrees_with_the_reference() {
    agrees("activation.backward");
}

#[test]
fn the_reference_saturates() {
    for (activation, low, high) in [(Activation::Sigmoid, 0.0, 1.0), (Activation::Tanh, -1.0, 1.0)] {
        let x = vec![-1e30, -100.0, 100.0, 1e30f32];
        let case = Case::new(Forward { activation, len: 4 }, vec![("x", x.into())]);
        assert_eq!(case.reference::<f64>()[0].1.iter().map(|v| v.round()).collect::<Vec<_>>(), [low, low, high, high]);
    }
}
