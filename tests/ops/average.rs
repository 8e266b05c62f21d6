use crate::common::agrees;
use shadegrad::ops::average::Update;

#[test]
fn reference_by_hand() {
    let after = |decay| Update { len: 2, decay }.case(&[4.0, -8.0], &[8.0, 0.0]).reference::<f64>();
    assert_eq!(after(0.75), [("average", vec![7.0, -2.0])]);
    assert_eq!(after(0.5), [("average", vec![6.0, -4.0])]);
}

#[test]
fn agrees_with_the_reference() {
    agrees("average.update");
}
