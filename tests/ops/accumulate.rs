use crate::common::agrees;
use shadegrad::ops::accumulate::Add;

#[test]
fn reference_by_hand() {
    let after = |part| Add { len: 2 }.case(&[4.0, -8.0], &[0.5, 1.0], part).reference::<f64>();
    assert_eq!(after(0), [("sum", vec![4.0, -8.0])]);
    assert_eq!(after(1), [("sum", vec![4.5, -7.0])]);
    assert_eq!(after(2), [("sum", vec![4.5, -7.0])]);
}

#[test]
fn agrees_with_the_reference() {
    agrees("accumulate.add");
}
