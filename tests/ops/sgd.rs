use crate::common::{Asserts, agrees, random};
use shadegrad::ops::sgd::Update;

fn update(len: usize, momentum: f32, nesterov: bool, weight_decay: f32) -> Update {
    Update { len, momentum, nesterov, weight_decay, clipped: false }
}

#[test]
fn reference_by_hand() {
    let expected = |momentum, nesterov, decay| {
        let case = update(2, momentum, nesterov, decay).case(&[1.0, -2.0], &[4.0, 8.0], &[2.0, 0.0], 0.5);
        case.reference::<f64>()
    };
    assert_eq!(expected(0.0, false, 0.0), [("weights", vec![3.5, 9.0])]);
    // g = 2 and 0
    assert_eq!(expected(0.0, false, 0.25), [("weights", vec![3.0, 8.0])]);
    assert_eq!(expected(0.5, false, 0.0), [("weights", vec![3.0, 9.0]), ("velocity", vec![2.0, -2.0])]);
    // v = 3 and 0
    assert_eq!(expected(0.5, false, 0.25), [("weights", vec![2.5, 8.0]), ("velocity", vec![3.0, 0.0])]);
    // A quarter of the gradient.
    let clipped = Update { clipped: true, ..update(2, 0.0, false, 0.0) }.case(&[1.0, -2.0], &[4.0, 8.0], &[], 0.5);
    assert_eq!(clipped.reference::<f64>(), [("weights", vec![3.875, 8.25])]);
    // Steps by g + v/2: 1 + 1 and -2 - 1
    assert_eq!(expected(0.5, true, 0.0), [("weights", vec![3.0, 9.5]), ("velocity", vec![2.0, -2.0])]);
}

#[test]
fn agrees_with_the_reference() {
    agrees("sgd.update");
}

/// A learning rate of 0 leaves all bits of the weights unchanged.
#[test]
fn a_rate_of_zero_moves_nothing() {
    let len = 1009;
    let [gradient, weights, velocity] = [1, 2, 3].map(|seed| random(len, seed));
    let bits: Vec<u32> = weights.iter().map(|w| w.to_bits()).collect();
    for (momentum, nesterov, decay) in [(0.0, false, 0.0), (0.0, false, 0.25), (0.5, false, 0.25), (0.5, true, 0.25)] {
        let case = update(len, momentum, nesterov, decay).case(&gradient, &weights, &velocity, 0.0);
        for (variant, got) in case.run_everywhere() {
            assert_eq!(got[0].bits, bits, "{momentum} {nesterov} {decay} {variant}");
        }
    }
}
