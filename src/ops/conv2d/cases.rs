use super::{BackwardInput, BackwardWeight, Forward, Geometry, pooled};
use crate::ops::dropout::Mask;
use crate::ops::{Activation, Op};
use crate::shape::{Padding, Window2d};
use crate::verify::draw::{Draw, MOST_FLOPS};
use crate::verify::{Check, Operands, Products, Verify};

const ALL: [Activation; 4] = [Activation::Identity, Activation::Relu, Activation::Sigmoid, Activation::Tanh];

/// N, [H, W, C], [R, S], stride, padding, K.
type Shape = (usize, [usize; 3], [usize; 2], [usize; 2], Padding, usize);

/// The most revealing shapes come first, one for each kind of kernel: the matrix engine with a partial tile in every
/// direction, a direct kernel, and a naive kernel.
const SHAPES: [Shape; 29] = [
    (3, [11, 9, 8], [3, 3], [2, 1], Padding::Explicit([1, 1]), 12),
    (3, [10, 7, 3], [3, 3], [3, 3], Padding::Same, 16),
    (2, [7, 5, 3], [1, 1], [1, 1], Padding::Valid, 5),
    // Numbers of channels or filters that are not multiples of 4.
    (1, [1, 1, 1], [1, 1], [1, 1], Padding::Valid, 1),
    (1, [5, 5, 1], [3, 3], [1, 1], Padding::Valid, 3),
    (3, [7, 11, 5], [3, 3], [2, 2], Padding::Same, 3),
    (2, [6, 7, 3], [5, 5], [1, 1], Padding::Same, 4),
    (2, [5, 6, 4], [2, 3], [1, 2], Padding::Explicit([1, 2]), 5),
    // Few channels, for direct kernels: 1 to 3 channels and at most 32 weights per filter.
    (1, [13, 7, 1], [5, 5], [1, 1], Padding::Same, 8),
    (5, [11, 13, 1], [3, 3], [1, 1], Padding::Valid, 20),
    (2, [9, 8, 2], [2, 3], [2, 1], Padding::Explicit([1, 2]), 12),
    // Few channels, with rows that consist of whole vec4 and windows that start 0 to 3 elements after the start of one;
    // rows with fewer, as many and more places than a block of four.
    (2, [6, 8, 1], [3, 3], [1, 1], Padding::Same, 8),
    (3, [7, 12, 1], [3, 3], [1, 2], Padding::Valid, 4),
    (2, [5, 4, 3], [2, 2], [1, 1], Padding::Explicit([1, 1]), 12),
    (1, [9, 4, 2], [3, 3], [2, 1], Padding::Explicit([0, 1]), 20),
    (2, [4, 12, 3], [2, 4], [1, 3], Padding::Valid, 4),
    // Multiples of 4: an image as large as the window, windows that skip pixels, pixels that no window reaches.
    (2, [6, 6, 4], [6, 6], [1, 1], Padding::Valid, 12),
    (1, [8, 8, 4], [3, 3], [2, 2], Padding::Valid, 4),
    (2, [7, 7, 4], [1, 1], [3, 3], Padding::Valid, 4),
    (1, [3, 2, 8], [3, 3], [1, 1], Padding::Explicit([2, 2]), 4),
    (7, [9, 5, 12], [2, 3], [1, 1], Padding::Same, 20),
    (2, [12, 10, 16], [5, 5], [2, 2], Padding::Same, 8),
    // Padding, where the windows span as many rows and columns as the image has without padding, but miss its last
    // ones.
    (2, [7, 7, 1], [4, 4], [3, 3], Padding::Explicit([1, 1]), 8),
    (1, [12, 7, 4], [4, 7], [4, 7], Padding::Explicit([1, 2]), 5),
    // Rows of three places, fewer than the four that sums of the sliding form take at once; the widest window for the
    // sliding form.
    (2, [5, 4, 8], [3, 2], [1, 1], Padding::Valid, 12),
    (1, [6, 11, 4], [1, 5], [1, 1], Padding::Same, 24),
    // Several tiles and a partial one in every direction: of places, of filters, of channels.
    (3, [17, 13, 12], [3, 3], [1, 1], Padding::Same, 68),
    (2, [7, 9, 68], [3, 3], [1, 1], Padding::Valid, 20),
    (1, [31, 37, 20], [3, 3], [1, 1], Padding::Same, 12),
];

fn geometry((batch, shape, kernel, stride, padding, filters): Shape) -> Option<Geometry> {
    let window = Window2d::new(batch, shape, kernel, stride, padding).ok()?;
    Some(Geometry { window, filters })
}

/// All passes at every shape, with alternating activations; every activation once in each kind of kernel; and sums
/// longer than the loops of llvmpipe, which silently end after 65,535 iterations: over places, and over the taps of
/// windows as large as their image.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
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
    for (channels, filters) in [(1, 3), (1, 4), (4, 4)] {
        let long = geometry((17, [64, 64, channels], [1, 1], [1, 1], Padding::Valid, filters));
        ops.extend(long.map(|geometry| Box::new(BackwardWeight { geometry }) as Box<dyn Op>));
    }
    for (channels, filters) in [(3, 3), (4, 4)] {
        let long = geometry((2, [150, 150, channels], [150, 150], [1, 1], Padding::Valid, filters));
        ops.extend(long.map(|geometry| {
            Box::new(Forward { geometry, activation: Activation::Relu, dropout: None }) as Box<dyn Op>
        }));
    }
    // A wide window of which every tap reaches every pixel.
    for channels in [3, 4] {
        let long = geometry((1, [1, 150, channels], [1, 150], [1, 1], Padding::Explicit([0, 149]), 440));
        ops.extend(long.map(|geometry| {
            Box::new(BackwardInput { geometry, producer: Activation::Relu, dropout: None }) as Box<dyn Op>
        }));
    }
    ops.extend(pooled::edge_cases(Geometry::edge_cases()));
    ops
}

/// All passes at a random shape.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    let geometry = loop {
        let geometry = Geometry { window: draw.window(true), filters: draw.channels(40) };
        if geometry.flops() <= MOST_FLOPS {
            break geometry;
        }
    };
    let (activation, rate) = (draw.one_of(&ALL), draw.once_in(3).then(|| draw.real(0.0..0.9)));
    let mut ops: Vec<Box<dyn Op>> = passes(geometry, activation, rate).into();
    ops.extend(pooled::drawn(geometry, draw));
    ops
}

/// All passes at a shape, with `activation` as activation and producer, and followed by dropout if there is a rate.
fn passes(geometry: Geometry, activation: Activation, rate: Option<f64>) -> [Box<dyn Op>; 3] {
    let mask = |width| rate.map(|rate| Mask { rate, layer: 2, width });
    let [x, _, _, y] = geometry.lens().map(|len| len / geometry.window.batch);
    [
        Box::new(Forward { geometry, activation, dropout: mask(y) }),
        Box::new(BackwardInput { geometry, producer: activation, dropout: mask(x) }),
        Box::new(BackwardWeight { geometry }),
    ]
}

impl Geometry {
    /// Shapes that kernels are likely to get wrong.
    pub fn edge_cases() -> impl Iterator<Item = Geometry> {
        SHAPES.into_iter().filter_map(geometry)
    }

    fn lens(&self) -> [usize; 4] {
        [self.window.input_len(), self.weight_len(), self.filters, self.output_len()]
    }

    /// Operands for all passes that consist of small integers.
    pub fn whole(&self) -> Operands {
        Operands::integers(self.lens())
    }

    /// Number of terms per element of `y`.
    pub(super) fn terms(&self) -> usize {
        self.window.area() * self.window.channels
    }

    /// Random operands for all passes.
    pub(super) fn random(&self) -> Operands {
        Operands::random(self.lens(), self.terms())
    }

    fn products(&self) -> Products {
        Products { whole: self.whole(), random: self.random() }
    }
}

impl Verify for Forward {
    fn checks(&self) -> Vec<Check> {
        let linear = Forward { activation: Activation::Identity, dropout: None, ..*self };
        self.geometry.products().forward([*self, linear], self.activation, self.dropout, self.geometry.terms())
    }
}

impl Verify for BackwardInput {
    fn checks(&self) -> Vec<Check> {
        let linear = BackwardInput { producer: Activation::Identity, dropout: None, ..*self };
        let terms = self.geometry.window.area() * self.geometry.filters;
        self.geometry.products().backward_input([*self, linear], self.producer, self.dropout, terms)
    }
}

impl Verify for BackwardWeight {
    fn checks(&self) -> Vec<Check> {
        let g = &self.geometry;
        g.products().backward_weight(*self, &["x", "dy"], g.window.places())
    }
}
