use crate::common::{Case, Values, dot_bound, integers, random};
use shadegrad::ops::Step;
use shadegrad::ops::score::Score;

const SLOTS: usize = 5;

/// Outputs start as what an earlier step may have left: the pass must change its own places only.
fn case(loss: &[f32], prediction: &[u32], targets: &[u32], images: usize, step: Step) -> Case {
    let given = vec![
        ("loss", Values::Real(loss.to_vec())),
        ("prediction", Values::Int(prediction.to_vec())),
        ("targets", Values::Int(targets.to_vec())),
        ("losses", Values::Real(integers(SLOTS, 9, 8))),
        ("correct", Values::Int(vec![777; SLOTS])),
        ("predictions", Values::Int(vec![12_345; images])),
    ];
    Case::new(Score { batch: loss.len(), slots: SLOTS, images }, given).with_step(step)
}

fn step(first: usize, count: usize, slot: usize) -> Step {
    Step { first: first as u32, count: count as u32, slot: slot as u32, ..Step::default() }
}

/// Predictions and targets that agree in some rows.
fn classes(batch: usize) -> (Vec<u32>, Vec<u32>) {
    let class = |seed| integers(batch, 2, seed).iter().map(|v| (v + 2.0) as u32).collect();
    (class(1), class(2))
}

#[test]
fn reference_by_hand() {
    let case = case(&[0.5, 0.25, 100.0], &[4, 5, 6], &[4, 0, 6], 6, step(2, 2, 1));
    let expected = case.expected();
    let untouched = integers(SLOTS, 9, 8);
    assert_eq!(expected[0].1[1], 0.75);
    assert_eq!(expected[0].1[0], f64::from(untouched[0]));
    assert_eq!(expected[1].1, [777.0, 1.0, 777.0, 777.0, 777.0]);
    assert_eq!(expected[2].1, [12_345.0, 12_345.0, 4.0, 5.0, 12_345.0, 12_345.0]);
}

/// One row, primes, one below, at and above the workgroup; full and padded batches anywhere in the data set.
#[test]
fn agrees_with_the_reference() {
    for batch in [1, 2, 7, 63, 64, 65, 127, 1000, 4099] {
        let (prediction, targets) = classes(batch);
        for (count, slot) in [(batch, 0), (u32::MAX as usize, 4), (batch / 2, 3), (batch - 1, 1), (0, 2)] {
            let step = step(3, count, slot);
            let exact = case(&integers(batch, 50, 4), &prediction, &targets, batch + 5, step);
            exact.check(|_, expected| vec![0.0; expected.len()]);
            let loss: Vec<f32> = random(batch, 6).iter().map(|v| v + 1.0).collect();
            let count = count.min(batch);
            let sum: f64 = loss[..count].iter().map(|v| f64::from(*v)).sum();
            let random = case(&loss, &prediction, &targets, batch + 5, step);
            random.check(|name, expected| {
                let mut bound = vec![0.0; expected.len()];
                if name == "losses" {
                    bound[slot] = dot_bound(count, &[sum])[0];
                }
                bound
            });
        }
    }
}

/// A NaN among the losses is in their sum, unless its row is padding.
#[test]
fn a_nan_loss_is_not_hidden() {
    let batch = 70;
    let (prediction, targets) = classes(batch);
    for place in [0, 1, 63, 64, 69] {
        let mut loss = random(batch, 7);
        loss[place] = f32::NAN;
        for count in [batch, 64] {
            let case = case(&loss, &prediction, &targets, batch, step(0, count, 2));
            for (variant, got) in case.run_everywhere() {
                let sum = got[0].real()[2];
                assert_eq!(sum.is_nan(), place < count, "{variant}, NaN at {place} of {count}");
            }
        }
    }
}
