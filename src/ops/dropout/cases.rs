use super::{Backward, Forward, Mask};
use crate::ops::{Activation, Op, Step};
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, Given, U, Verify, random};

/// One above, one below and exactly the size of a workgroup, which is 64 vec4; a single element; primes.
const LENGTHS: [usize; 6] = [257, 255, 256, 1, 3, 1009];

const PRODUCERS: [Activation; 4] = [Activation::Identity, Activation::Relu, Activation::Sigmoid, Activation::Tanh];

/// Every length with every activation as the producer, and rates over the whole range.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let mut ops: Vec<Box<dyn Op>> = Vec::new();
    for (i, len) in LENGTHS.into_iter().enumerate() {
        for (j, producer) in PRODUCERS.into_iter().enumerate() {
            let (rate, layer) = ([0.4, 0.5, 0.25, 0.3][j], (i * j) as u32);
            let width = WIDTHS[(i + j) % WIDTHS.len()];
            let mask = Mask { rate, layer, width };
            ops.push(Box::new(Forward { len, mask }));
            ops.push(Box::new(Backward { len, mask, producer }));
        }
    }
    for rate in [0.0, 1e-3, 0.1, 0.37, 0.62, 0.9, 0.999] {
        let mask = Mask { rate, layer: 2, width: 1009 };
        ops.push(Box::new(Forward { len: 1009, mask }));
        ops.push(Box::new(Backward { len: 1009, mask, producer: Activation::Tanh }));
    }
    ops
}

/// Both passes at a random length and a random rate.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    let (len, rate, layer) = (draw.size(3000), draw.real(0.0..1.0), draw.below(1000) as u32);
    let mask = Mask { rate, layer, width: draw.size(3000) };
    vec![Box::new(Forward { len, mask }), Box::new(Backward { len, mask, producer: draw.one_of(&PRODUCERS) })]
}

/// Elements per image: a multiple of 4, of 2, and of neither.
const WIDTHS: [usize; 3] = [12, 6, 7];

/// Keys (seed low, seed high, step), and the row at which the slice begins. A multiple of 4 suits every width.
const STEPS: [([u32; 3], u32); 4] = [([0; 3], 0), ([1, 2, 3], 0), ([!0; 3], 8), ([1, 2, 3], 60_004)];

fn step(([seed_low, seed_high, step], row): ([u32; 3], u32)) -> Step {
    Step { seed_low, seed_high, step, row, ..Step::default() }
}

impl Verify for Forward {
    /// Exact: the same elements are dropped, and each of the others is one product of the same two f32 numbers.
    fn checks(&self) -> Vec<Check> {
        let case = |key| Case::new(*self, vec![("x", random(self.len, 1).into())]).with_step(step(key));
        STEPS.into_iter().map(|key| Check::exact("random", case(key))).collect()
    }
}

impl Verify for Backward {
    fn checks(&self) -> Vec<Check> {
        let case = |key| {
            let given: Vec<Given> = vec![("dy", random(self.len, 2).into()), ("x", random(self.len, 3).into())];
            Case::new(*self, given).with_step(step(key))
        };
        // |dy| is at most 1 and f' at most 2; the scale, up to three products and 1 - x are rounded, each by U / 2.
        let bound = 5.0 * U / (1.0 - self.mask.rate);
        let check = |key| match self.producer {
            Activation::Identity | Activation::Relu => Check::exact("random", case(key)),
            Activation::Sigmoid | Activation::Tanh => Check::within("random", case(key), |_, dx| vec![bound; dx.len()]),
        };
        STEPS.into_iter().map(check).collect()
    }
}
