use crate::common::{Asserts, agrees, random};
use shadegrad::ops::clip::Scale;

#[test]
fn reference_by_hand() {
    // The norm is 5.
    let scale = |most| Scale { len: 3, most }.case(&[3.0, 0.0, -4.0]).reference::<f64>()[0].1[0];
    assert_eq!([5.0, 6.0, 2.5, 0.5].map(scale), [1.0, 1.0, 0.5, 0.1 * (0.5 / 0.5)]);
}

#[test]
fn agrees_with_the_reference() {
    agrees("clip.scale");
}

/// The gradient of every weight counts, wherever it is: the first, the last, and on both sides of each boundary between
/// parts.
#[test]
fn no_gradient_is_left_out() {
    let len = 20_003;
    let op = Scale { len, most: 1.0 };
    for place in [0, 3, 4, 63, 64, 255, 256, 8191, 8192, 16_384, len - 2, len - 1] {
        let mut gradient = vec![0.0; len];
        gradient[place] = -8.0;
        for (variant, got) in op.case(&gradient).run_everywhere() {
            let scale = got[0].real()[0];
            assert!((scale - 0.125).abs() <= 1e-6, "{variant}: {scale} for a gradient at {place}");
        }
    }
}

/// A gradient that is not finite is not hidden by the scale: its products are not finite either.
#[test]
fn gradients_that_are_not_finite_stay_so() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut gradient = random(1009, 1);
        gradient[500] = value;
        for (variant, got) in (Scale { len: 1009, most: 1.0 }).case(&gradient).run_everywhere() {
            let scaled = got[0].real()[0] * value;
            assert!(!scaled.is_finite(), "{variant}: {value} becomes {scaled}");
        }
    }
}
