use crate::common::agrees;
use shadegrad::ops::average::{Update, limit};

#[test]
fn reference_by_hand() {
    let after = |decay, limit| Update { len: 2, decay }.case(&[4.0, -8.0], &[8.0, 0.0], limit).reference::<f64>();
    assert_eq!(after(0.75, 1.0), [("average", vec![7.0, -2.0])]);
    assert_eq!(after(0.5, 1.0), [("average", vec![6.0, -4.0])]);
    // The smaller of both factors applies.
    assert_eq!(after(0.75, 0.5), [("average", vec![6.0, -4.0])]);
    assert_eq!(after(0.5, 0.75), [("average", vec![6.0, -4.0])]);
}

#[test]
fn a_young_average_follows_the_weights() {
    assert_eq!([0, 1, 8].map(limit), [0.1, 2.0 / 11.0, 0.5]);
    assert!((0..100_000).all(|step| limit(step) <= limit(step + 1) && limit(step) < 1.0));
    // From this step on a decay of 0.999 applies in full.
    assert!(limit(8_989) < 0.999 && limit(8_991) >= 0.999);
}

#[test]
fn agrees_with_the_reference() {
    agrees("average.update");
}
