use crate::common::{Case, Values};
use shadegrad::ops::Step;
use shadegrad::ops::gather_batch::Gather;

/// `bytes` as words, the first byte in the lowest bits.
fn words(bytes: &[u8]) -> Vec<u32> {
    let word = |four: &[u8]| four.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    bytes.chunks(4).map(word).collect()
}

/// The integer output starts as something that is no label, so that a target left out shows.
fn case(op: Gather, bytes: &[u8], labels: Vec<u32>, order: Vec<u32>, first: u32, count: u32) -> Case {
    let given = vec![
        ("images", words(bytes).into()),
        ("labels", labels.into()),
        ("order", order.into()),
        ("targets", Values::Int(vec![12_345; op.batch])),
    ];
    Case::new(op, given).with_step(Step { first, count, ..Step::default() })
}

#[test]
fn reference_by_hand() {
    let op = Gather { batch: 3, pixels: 3, images: 4 };
    let bytes = [0, 255, 51, 1, 2, 3, 102, 0, 0, 255, 255, 255];
    let case = case(op, &bytes, vec![7, 8, 9, 5], vec![1, 2, 0, 3], 1, 2);
    let expected = case.expected();
    // Rows: images 2 and 0, then padding.
    assert_eq!(expected[0].1, [102.0 / 255.0, 0.0, 0.0, 0.0, 1.0, 0.2, 0.0, 0.0, 0.0]);
    assert_eq!(expected[1].1, [9.0, 7.0, 0.0]);
}

/// Pixel counts that are no multiple of 4, so that images start within words; fewer pixels than rows; full and padded
/// batches. Every byte occurs.
#[test]
fn rows_are_the_images_drawn() {
    let shapes = [
        (1, 1, 1),
        (5, 1, 7),
        (300, 1, 301),
        (2, 3, 5),
        (7, 5, 11),
        (4, 27, 13),
        (3, 255, 4),
        (65, 16, 70),
        (5, 784, 9),
    ];
    for (batch, pixels, images) in shapes {
        let bytes: Vec<u8> = (0..images * pixels).map(|i| (i * 89 + i / 256) as u8).collect();
        let labels: Vec<u32> = (0..images as u32).map(|i| i * 3 + 1).collect();
        let coprime = [3, 2][usize::from(images % 3 == 0)];
        let order: Vec<u32> = (0..images).map(|i| ((i * coprime + 1) % images) as u32).collect();
        let last = images - batch;
        // At the start, at the end, with padding; a count above the batch is a full batch.
        for (first, count) in
            [(0, batch), (last, batch), (last, u32::MAX as usize), (last / 2, batch.div_ceil(2)), (0, 0)]
        {
            let op = Gather { batch, pixels, images };
            let case = case(op, &bytes, labels.clone(), order.clone(), first as u32, count as u32);
            let expected = case.expected();
            // Rounded once, as the closest f32 to byte / 255 is.
            let x: Vec<f32> = expected[0].1.iter().map(|v| *v as f32).collect();
            for (variant, got) in case.run_everywhere() {
                // WGSL grants a division 2.5 ULP, but one of integers below 256 that misses by more than 1 would be no
                // division at all. 0 and 1 leave no choice.
                for (i, (got, want)) in got[0].bits.iter().zip(&x).enumerate() {
                    let off = got.abs_diff(want.to_bits());
                    let allowed = u32::from(*want != 0.0 && *want != 1.0);
                    assert!(off <= allowed, "{op:?} {first} {count} {variant} x[{i}]: {off} ULP off {want}");
                }
                let targets: Vec<f64> = got[1].bits.iter().map(|bits| f64::from(*bits)).collect();
                assert_eq!(targets, expected[1].1, "{op:?} {first} {count} {variant}");
            }
        }
    }
}
