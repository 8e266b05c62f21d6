use crate::common::agrees;
use shadegrad::ops::gather_batch::Gather;

#[test]
fn reference_by_hand() {
    let op = Gather { batch: 3, pixels: 3, images: 4 };
    let bytes = [0, 255, 51, 1, 2, 3, 102, 0, 0, 255, 255, 255];
    let case = op.case(&bytes, vec![7, 8, 9, 5], vec![1, 2, 0, 3], 1, 2);
    let expected = case.reference::<f64>();
    // Rows: images 2 and 0, then padding.
    assert_eq!(expected[0].1, [102.0 / 255.0, 0.0, 0.0, 0.0, 1.0, 0.2, 0.0, 0.0, 0.0]);
    assert_eq!(expected[1].1, [9.0, 7.0, 0.0]);
}

#[test]
fn rows_are_the_images_drawn() {
    agrees("gather_batch.gather");
}
