use crate::common::{Asserts, agrees, integers, random};
use shadegrad::ops::Step;
use shadegrad::ops::score::Score;

const SLOTS: usize = 5;

fn step(first: usize, count: usize, slot: usize) -> Step {
    Step { first: first as u32, count: count as u32, slot: slot as u32, ..Step::default() }
}

#[test]
fn reference_by_hand() {
    let score = Score { batch: 3, slots: SLOTS, images: 6 };
    let case = score.case(&[0.5, 0.25, 100.0], &[4, 5, 6], &[4, 0, 6], step(2, 2, 1));
    let expected = case.reference::<f64>();
    let untouched = integers(SLOTS, 9, 8);
    assert_eq!(expected[0].1[1], 0.75);
    assert_eq!(expected[0].1[0], f64::from(untouched[0]));
    assert_eq!(expected[1].1, [777.0, 1.0, 777.0, 777.0, 777.0]);
    assert_eq!(expected[2].1, [12_345.0, 12_345.0, 4.0, 5.0, 12_345.0, 12_345.0]);
}

#[test]
fn agrees_with_the_reference() {
    agrees("score.score");
}

/// A NaN among the losses makes their sum a NaN, unless its row is padding.
#[test]
fn a_nan_loss_is_not_hidden() {
    let batch = 70;
    for place in [0, 1, 63, 64, 69] {
        let mut loss = random(batch, 7);
        loss[place] = f32::NAN;
        for count in [batch, 64] {
            let score = Score { batch, slots: SLOTS, images: batch };
            let case = score.case(&loss, &vec![1; batch], &vec![2; batch], step(0, count, 2));
            for (variant, got) in case.run_everywhere() {
                let sum = got[0].real()[2];
                assert_eq!(sum.is_nan(), place < count, "{variant}, NaN at {place} of {count}");
            }
        }
    }
}
