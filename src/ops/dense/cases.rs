use super::{BackwardInput, BackwardWeight, Forward, Geometry};
use crate::ops::dropout::Mask;
use crate::ops::{Activation, Op};
use crate::verify::draw::{Draw, MOST_FLOPS};
use crate::verify::{Check, Operands, Products, Verify};

const ALL: [Activation; 4] = [Activation::Identity, Activation::Relu, Activation::Sigmoid, Activation::Tanh];

/// N, I, O, the most revealing first: several tiles and a partial one in every direction; primes; a number of outputs
/// that is not a multiple of 4. Then single elements, sizes of which only some are multiples of 4, and multiples of 4
/// that are not multiples of a tile.
const SHAPES: [[usize; 3]; 19] = [
    [29, 36, 68],
    [13, 17, 10],
    [3, 12, 10],
    [1, 1, 1],
    [1, 7, 3],
    [2, 3, 5],
    [64, 65, 1],
    [4, 4, 1],
    [5, 128, 3],
    [101, 20, 7],
    [5, 10, 8],
    [1, 4, 4],
    [1, 128, 12],
    [4, 4, 20],
    [7, 20, 12],
    [16, 64, 64],
    [53, 132, 16],
    [100, 16, 140],
    [127, 260, 36],
];

/// All passes at every shape, with alternating activations; every activation at each of the first three shapes; and
/// sums longer than the loops of llvmpipe, which silently end after 65,535 iterations.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let geometry = |[batch, inputs, outputs]: [usize; 3]| Geometry { batch, inputs, outputs };
    let mut ops: Vec<Box<dyn Op>> = Vec::new();
    for (i, geometry) in Geometry::edge_cases().enumerate() {
        ops.extend(passes(geometry, ALL[i % 2], (i % 3 == 1).then_some(0.25)));
    }
    for geometry in Geometry::edge_cases().take(3) {
        for activation in ALL {
            // With dropout, the derivative of a curved activation is that of a scaled value; the identity has a kernel of
            // its own.
            let curved = matches!(activation, Activation::Identity | Activation::Tanh);
            for rate in [None, Some(0.4)].into_iter().take(1 + usize::from(curved)) {
                let [forward, backward_input, _] = passes(geometry, activation, rate);
                ops.extend([forward, backward_input]);
            }
        }
    }
    for few in [3, 4] {
        let activation = Activation::Relu;
        ops.push(Box::new(Forward { geometry: geometry([2, 70_000, few]), activation, dropout: None }));
        ops.push(Box::new(BackwardInput { geometry: geometry([2, few, 70_000]), producer: activation, dropout: None }));
        let dropout = Some(Mask { rate: 0.25, layer: 2, width: few });
        let op = BackwardInput { geometry: geometry([2, few, 70_000]), producer: Activation::Identity, dropout };
        ops.push(Box::new(op));
        ops.push(Box::new(BackwardWeight { geometry: geometry([70_000, few, few]) }));
    }
    ops
}

/// All passes at a random shape.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    let geometry = loop {
        let geometry = Geometry { batch: draw.size(140), inputs: draw.size(300), outputs: draw.size(140) };
        if geometry.flops() <= MOST_FLOPS {
            break geometry;
        }
    };
    let (activation, rate) = (draw.one_of(&ALL), draw.once_in(3).then(|| draw.real(0.0..0.9)));
    passes(geometry, activation, rate).into()
}

/// All passes at a shape, with `activation` as activation and producer, and followed by dropout if there is a rate.
fn passes(geometry: Geometry, activation: Activation, rate: Option<f64>) -> [Box<dyn Op>; 3] {
    let mask = |width| rate.map(|rate| Mask { rate, layer: 2, width });
    [
        Box::new(Forward { geometry, activation, dropout: mask(geometry.outputs) }),
        Box::new(BackwardInput { geometry, producer: activation, dropout: mask(geometry.inputs) }),
        Box::new(BackwardWeight { geometry }),
    ]
}

impl Geometry {
    /// Shapes that kernels are likely to get wrong.
    pub fn edge_cases() -> impl Iterator<Item = Geometry> {
        SHAPES.into_iter().map(|[batch, inputs, outputs]| Geometry { batch, inputs, outputs })
    }

    fn lens(&self) -> [usize; 4] {
        [self.batch * self.inputs, self.inputs * self.outputs, self.outputs, self.batch * self.outputs]
    }

    /// Operands for all passes that consist of small integers.
    pub fn whole(&self) -> Operands {
        Operands::integers(self.lens())
    }

    fn products(&self) -> Products {
        Products { whole: self.whole(), random: Operands::random(self.lens(), self.inputs) }
    }
}

impl Verify for Forward {
    fn checks(&self) -> Vec<Check> {
        let linear = Forward { activation: Activation::Identity, dropout: None, ..*self };
        self.geometry.products().forward([*self, linear], self.activation, self.dropout, self.geometry.inputs)
    }
}

impl Verify for BackwardInput {
    fn checks(&self) -> Vec<Check> {
        let linear = BackwardInput { producer: Activation::Identity, dropout: None, ..*self };
        self.geometry.products().backward_input([*self, linear], self.producer, self.dropout, self.geometry.outputs)
    }
}

impl Verify for BackwardWeight {
    fn checks(&self) -> Vec<Check> {
        self.geometry.products().backward_weight(*self, &["x", "dy"], self.geometry.batch)
    }
}
