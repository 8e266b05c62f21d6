use super::{Augment, Draw, Gather, MAP};
use crate::ops::{Op, Step, gather_batch};
use crate::verify::draw;
use crate::verify::{Case, Check, Values, Verify};

const ALL: Augment = Augment { shift: 3.0, rotation: 30.0, scale: 0.3, shear: 0.4, elastic: 2.0 };

/// Typical amounts, the largest allowed amounts, no distortion, and single distortions.
fn amounts() -> Vec<Augment> {
    let none = Augment::default();
    vec![
        ALL,
        Augment { shift: 15.0, rotation: 45.0, scale: 0.9, shear: 1.0, elastic: 15.0 },
        none,
        Augment { shift: 0.5, ..none },
        Augment { rotation: 45.0, ..none },
        Augment { scale: 0.5, ..none },
        Augment { shear: 1.0, ..none },
        Augment { elastic: 4.0, ..none },
    ]
}

/// N, [H, W, C], number of images: single pixels, rows and columns; sides smaller and larger than the grid; colour;
/// images that start within words; more rows than pixels.
const SHAPES: [(usize, [usize; 3], usize); 8] = [
    (5, [9, 7, 1], 4),
    (3, [28, 28, 1], 3),
    (70, [1, 1, 1], 71),
    (2, [1, 13, 2], 5),
    (4, [11, 1, 1], 3),
    (3, [4, 3, 3], 2),
    (1, [33, 65, 1], 1),
    (65, [5, 6, 1], 70),
];

/// Both passes at every shape, with alternating amounts; maps for the largest image.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let mut ops: Vec<Box<dyn Op>> = Vec::new();
    for (index, (batch, shape @ [height, width, _], images)) in SHAPES.into_iter().enumerate() {
        let amounts = amounts();
        let amount = amounts[index % amounts.len()];
        ops.push(Box::new(Draw { batch, size: [height, width], amount }));
        ops.push(Box::new(Gather { batch, shape, images }));
    }
    ops.push(Box::new(Draw { batch: 2, size: [1024, 1023], amount: amounts()[1] }));
    ops
}

/// Both passes with random distortions, at a random shape.
pub(crate) fn drawn(draw: &mut draw::Draw) -> Vec<Box<dyn Op>> {
    let (batch, shape) = (draw.size(12), [draw.size(40), draw.size(40), draw.up_to(4)]);
    let mut up_to = |most: f64| if draw.once_in(3) { 0.0 } else { draw.real(0.0..most) };
    let amount = Augment {
        shift: up_to(15.0),
        rotation: up_to(45.0),
        scale: up_to(0.9),
        shear: up_to(1.0),
        elastic: up_to(15.0),
    };
    vec![
        Box::new(Draw { batch, size: [shape[0], shape[1]], amount }),
        Box::new(Gather { batch, shape, images: batch + draw.below(10) }),
    ]
}

/// Keys (seed low, seed high, step), and the row of the whole batch at which the slice begins.
const STEPS: [([u32; 3], u32); 4] = [([0; 3], 0), ([1, 2, 3], 0), ([!0; 3], 0), ([1, 2, 3], 65_533)];

fn step(([seed_low, seed_high, step], row): ([u32; 3], u32)) -> Step {
    Step { seed_low, seed_high, step, row, count: u32::MAX, ..Step::default() }
}

impl Draw {
    /// The case of a step. Maps start with other values, so that a missing one is noticed.
    pub fn case(&self, of: Step) -> Case {
        Case::new(*self, vec![("maps", Values::Int(vec![12_345; self.batch * MAP]))]).with_step(of)
    }

    /// The maps of a step, as input for the second pass.
    pub(super) fn maps(&self, of: Step) -> Vec<u32> {
        self.case(of).reference::<f64>()[0].1.iter().map(|number| *number as u32).collect()
    }
}

impl Verify for Draw {
    /// Integers must be the same on every device.
    fn checks(&self) -> Vec<Check> {
        STEPS.into_iter().map(|key| Check::exact("integers", self.case(step(key)))).collect()
    }
}

impl Gather {
    /// A case with the given bytes, maps, labels and order.
    pub fn case(&self, bytes: &[u8], maps: Vec<u32>, [labels, order]: [Vec<u32>; 2], of: Step) -> Case {
        let given = vec![
            ("images", gather_batch::words(bytes).into()),
            ("labels", labels.into()),
            ("order", order.into()),
            ("maps", maps.into()),
            ("targets", Values::Int(vec![12_345; self.batch])),
        ];
        Case::new(*self, given).with_step(of)
    }
}

impl Verify for Gather {
    /// Results are sums of integers and one product of two f32, so they must be the same on every device. Covers every
    /// byte value; random maps, and maps that lead far outside the image; whole, padded and empty batches.
    fn checks(&self) -> Vec<Check> {
        let Gather { batch, shape: [height, width, _], images } = *self;
        let bytes: Vec<u8> = (0..images * self.pixels()).map(|i| (i * 89 + i / 256) as u8).collect();
        let labels: Vec<u32> = (0..images as u32).map(|i| i * 3 + 1).collect();
        let order: Vec<u32> = (0..images as u32).rev().collect();
        let last = images.saturating_sub(batch);
        let wild = || (0..batch * MAP).map(|i| (i as i32 * 7919 % 60_013 - 30_000) as u32).collect();
        let drawn = |amount| Draw { batch, size: [height, width], amount }.maps(step(([5, 6, 7], 0)));
        let whole = batch.min(images);
        let cases = [
            (drawn(ALL), 0, whole),
            (drawn(Augment::default()), last, whole),
            (drawn(amounts()[1]), last / 2, whole.div_ceil(2)),
            (wild(), last, whole),
            (drawn(ALL), 0, 0),
        ];
        let check = |(maps, first, count): (Vec<u32>, usize, usize)| {
            let of = Step { first: first as u32, count: count as u32, ..Step::default() };
            Check::exact("bytes", self.case(&bytes, maps, [labels.clone(), order.clone()], of))
        };
        cases.into_iter().map(check).collect()
    }
}
