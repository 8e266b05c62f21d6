use super::Gather;
use crate::ops::{Op, Step};
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, U, Values, Verify};

/// N, pixels, images: numbers of pixels that are not multiples of 4, so that images start within words; fewer pixels
/// than rows; a single image.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let shapes = [
        (7, 5, 11),
        (300, 1, 301),
        (5, 784, 9),
        (1, 1, 1),
        (5, 1, 7),
        (2, 3, 5),
        (4, 27, 13),
        (3, 255, 4),
        (65, 16, 70),
    ];
    let op = |(batch, pixels, images)| Box::new(Gather { batch, pixels, images }) as Box<dyn Op>;
    shapes.into_iter().map(op).collect()
}

/// A batch of random size, from images of random size.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    let (batch, pixels) = (draw.size(40), draw.size(300));
    vec![Box::new(Gather { batch, pixels, images: batch + draw.below(20) })]
}

/// Packs `bytes` into words, the first byte in the lowest bits.
pub(in crate::ops) fn words(bytes: &[u8]) -> Vec<u32> {
    let word = |four: &[u8]| four.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    bytes.chunks(4).map(word).collect()
}

impl Gather {
    /// A case with the given bytes, labels and order. Targets start as a value that is not a label, so that a missing
    /// one is noticed.
    pub fn case(&self, bytes: &[u8], labels: Vec<u32>, order: Vec<u32>, first: usize, count: usize) -> Case {
        let given = vec![
            ("images", words(bytes).into()),
            ("labels", labels.into()),
            ("order", order.into()),
            ("targets", Values::Int(vec![12_345; self.batch])),
        ];
        Case::new(*self, given).with_step(Step { first: first as u32, count: count as u32, ..Step::default() })
    }
}

impl Verify for Gather {
    /// Covers every byte value; batches at the start and at the end of the data set, padded batches, and a count
    /// greater than the batch size.
    fn checks(&self) -> Vec<Check> {
        let Gather { batch, pixels, images } = *self;
        let bytes: Vec<u8> = (0..images * pixels).map(|i| (i * 89 + i / 256) as u8).collect();
        let labels: Vec<u32> = (0..images as u32).map(|i| i * 3 + 1).collect();
        let coprime = [3, 2][usize::from(images.is_multiple_of(3))];
        let order: Vec<u32> = (0..images).map(|i| ((i * coprime + 1) % images) as u32).collect();
        let last = images.saturating_sub(batch);
        // WGSL allows a division an error of 2.5 ULP, but for integers below 256 more than one ULP from the nearest f32
        // would be unreasonable. 0 and 1 must be exact. An ULP is at most U times the value.
        let bound = |name: &str, values: &[f64]| {
            let pixel = |v: &f64| if *v == 0.0 || *v == 1.0 { 0.0 } else { 1.5 * U * v };
            values.iter().map(|v| if name == "x" { pixel(v) } else { 0.0 }).collect()
        };
        let batches =
            [(0, batch), (last, batch), (last, u32::MAX as usize), (last / 2, batch.div_ceil(2)), (0, 0)].into_iter();
        let case = |(first, count)| self.case(&bytes, labels.clone(), order.clone(), first, count);
        batches.map(|at| Check::within("bytes", case(at), bound)).collect()
    }
}
