use super::{Backward, Forward, Kind, m_len, output_len};
use crate::ops::dropout::Mask;
use crate::ops::{Activation, Op, Step};
use crate::shape::{Padding, Window2d};
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, Given, U, Verify, dot_bound, integers, random};

const KINDS: [Kind; 4] = [Kind::Max, Kind::L2, Kind::Average, Kind::Min];

const PRODUCERS: [Activation; 4] = [Activation::Identity, Activation::Relu, Activation::Sigmoid, Activation::Tanh];

/// N, [H, W, C], size, stride.
type Shape = (usize, [usize; 3], [usize; 2], [usize; 2]);

/// Disjoint and overlapping windows, with and without gaps between them, with rows and columns left over; numbers of
/// channels for scalar and vec4 kernels.
const WINDOWS: [Shape; 25] = [
    (3, [7, 5, 4], [2, 2], [2, 2]),
    (2, [7, 8, 4], [3, 3], [2, 2]),
    (2, [7, 7, 5], [3, 3], [1, 1]),
    (1, [1, 1, 1], [1, 1], [1, 1]),
    (1, [1, 1, 4], [1, 1], [1, 1]),
    (3, [7, 5, 3], [2, 2], [2, 2]),
    (2, [6, 8, 8], [2, 2], [2, 2]),
    (2, [11, 7, 8], [3, 3], [3, 3]),
    (1, [5, 7, 4], [2, 3], [2, 3]),
    (1, [5, 7, 4], [2, 3], [1, 2]),
    (2, [8, 7, 4], [2, 2], [3, 3]),
    (2, [8, 7, 3], [2, 2], [3, 3]),
    (1, [5, 9, 4], [1, 1], [2, 4]),
    (1, [7, 5, 4], [1, 2], [3, 2]),
    (3, [5, 3, 4], [5, 3], [5, 3]),
    (2, [4, 6, 8], [4, 6], [1, 1]),
    // 256 and 257 positions in a window: as many as a byte can number, and one more.
    (1, [16, 18, 4], [16, 16], [16, 1]),
    (2, [1, 257, 3], [1, 257], [1, 1]),
    (2, [1, 257, 4], [1, 257], [1, 257]),
    // 63, 64 and 65 windows with four channels: around the workgroup size of 64.
    (1, [18, 14, 4], [2, 2], [2, 2]),
    (1, [16, 16, 4], [2, 2], [2, 2]),
    (1, [10, 26, 4], [2, 2], [2, 2]),
    // The same with one channel.
    (1, [9, 7, 1], [1, 1], [1, 1]),
    (1, [8, 8, 1], [1, 1], [1, 1]),
    (1, [5, 13, 1], [1, 1], [1, 1]),
];

/// Every kind with every window, with alternating activations as the producer.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let mut ops: Vec<Box<dyn Op>> = Vec::new();
    let window = |(batch, shape, size, stride)| Window2d::new(batch, shape, size, stride, Padding::Valid).ok();
    for (i, window) in WINDOWS.into_iter().filter_map(window).enumerate() {
        for (j, kind) in KINDS.into_iter().enumerate() {
            let dropout = (i % 3 == 1).then(|| mask(&window, 0.25));
            if kind.is_extreme() {
                ops.push(Box::new(Forward { window, kind, keeps_m: true, dropout }));
            }
            ops.push(Box::new(Forward { window, kind, keeps_m: false, dropout }));
            ops.push(Box::new(Backward { window, kind, producer: PRODUCERS[(i + j) % 4], dropout }));
        }
    }
    ops
}

/// Both passes with a random window.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    let (window, kind) = (draw.window(false), draw.one_of(&KINDS));
    let keeps_m = kind.is_extreme() && draw.once_in(2);
    let dropout = draw.once_in(3).then(|| mask(&window, draw.real(0.0..0.9)));
    vec![
        Box::new(Forward { window, kind, keeps_m, dropout }),
        Box::new(Backward { window, kind, producer: draw.one_of(&PRODUCERS), dropout }),
    ]
}

/// Dropout of the outputs.
fn mask(window: &Window2d, rate: f64) -> Mask {
    Mask { rate, layer: 2, width: output_len(window) / window.batch }
}

/// The same case in a slice that does not begin at the first row of the batch, a multiple of 4.
fn in_slice(case: Case) -> Case {
    let step = Step { row: 8, ..case.step };
    case.with_step(step)
}

fn absolute(values: &[f32]) -> Vec<f32> {
    values.iter().map(|v| v.abs()).collect()
}

/// Values that `producer` could have produced, away from the limits of sigmoid and tanh, where 1 - y and 1 - y^2
/// cancel.
fn produced(producer: Activation, len: usize) -> Vec<f32> {
    produced_from(producer, random(len, 5))
}

/// The same, made of values in [-1, 1).
fn produced_from(producer: Activation, values: Vec<f32>) -> Vec<f32> {
    let values = values.into_iter();
    match producer {
        Activation::Identity => values.collect(),
        Activation::Relu => values.map(|v| v.max(0.0)).collect(),
        Activation::Sigmoid => values.map(|v| 0.5 + 0.4 * v).collect(),
        Activation::Tanh => values.map(|v| 0.7 * v).collect(),
    }
}

/// Whether the result is exact for small integers.
fn is_exact(kind: Kind, window: &Window2d) -> bool {
    match kind {
        Kind::Max | Kind::Min => true,
        Kind::Average => window.area().is_power_of_two(),
        Kind::L2 => false,
    }
}

impl Forward {
    /// A case with the given values; `m` starts with a pattern that is not valid.
    pub fn case(&self, x: Vec<f32>) -> Case {
        in_slice(Case::new(*self, vec![("x", x.into()), ("m", vec![0xaaaa_aaaa; m_len(&self.window)].into())]))
    }
}

impl Verify for Forward {
    fn checks(&self) -> Vec<Check> {
        let Forward { window, kind, .. } = *self;
        let x = random(window.input_len(), 1);
        // With dropout, these magnitudes are scaled, or dropped like the values.
        let magnitude = self.case(absolute(&x)).reference::<f64>().remove(0).1;
        // The product with the scale of dropout rounds once more.
        let once = usize::from(self.dropout.is_some());
        let bound = |values: &[f64]| match kind {
            Kind::Max | Kind::Min => values.iter().map(|y| once as f64 * U * y.abs()).collect(),
            // The sum is rounded like a dot product, and the factor and its product once each.
            Kind::Average => dot_bound(window.area() + 2 + once, &magnitude),
            // The squares and each addition round by u/2 of a sum of positive terms, and the root halves that error.
            // WGSL allows the root the error of 1 / inverseSqrt, 2.5 + 2 ULP. Squares of multiples of 2^-23 do not
            // underflow.
            Kind::L2 => values.iter().map(|y| (window.area() as f64 / 2.0 + 5.0 + once as f64) * U * y).collect(),
        };
        let mut checks = vec![Check::within("random", self.case(x), |_, values| bound(values))];
        if is_exact(kind, &window) {
            // Small integers, which give many ties.
            checks.push(Check::exact("whole", self.case(integers(window.input_len(), 2, 3))));
        }
        checks
    }
}

impl Backward {
    /// Operands of a pooling that chose among values made of `x`: `y`, `m` and `dy`.
    pub(in crate::ops) fn checked(&self, x: &[f32], dy: Vec<f32>) -> Vec<Given> {
        let x = x.iter().cycle().take(self.window.input_len()).copied();
        let x = produced_from(self.producer, x.collect());
        self.given(x, dy).into_iter().filter(|(name, _)| *name != "x").collect()
    }

    /// A case with the y and m that the forward pass computes from x.
    pub fn case(&self, x: Vec<f32>, dy: Vec<f32>) -> Case {
        in_slice(Case::new(*self, self.given(x, dy)))
    }

    fn given(&self, x: Vec<f32>, dy: Vec<f32>) -> Vec<Given> {
        let Backward { window, kind, dropout, .. } = *self;
        let op = Forward { window, kind, keeps_m: kind.is_extreme(), dropout };
        let forward = op.case(x.clone()).reference::<f32>();
        // Where y was dropped, the layer behind it has dropped its gradient.
        let step = op.case(x.clone()).step;
        let kept = |(i, dy): (usize, f32)| dropout.map_or(dy, |mask| if mask.drops(&step, i) { 0.0 } else { dy });
        let dy: Vec<f32> = dy.into_iter().enumerate().map(kept).collect();
        let mut given: Vec<Given> = vec![("dy", dy.into()), ("x", x.into())];
        for (name, values) in forward {
            given.push(match name {
                "m" => (name, values.into_iter().map(|word| word as u32).collect::<Vec<_>>().into()),
                _ => (name, values.into_iter().map(|value| value as f32).collect::<Vec<_>>().into()),
            });
        }
        given
    }
}

impl Verify for Backward {
    fn checks(&self) -> Vec<Check> {
        let Backward { window, kind, producer, .. } = *self;
        let x = produced(producer, window.input_len());
        let dy = random(output_len(&window), 2);
        // The sum of absolute terms. For extremes, |x| would change the position of the extreme; for the other kinds,
        // |x| has the same f'.
        let x_absolute = if kind.is_extreme() { x.clone() } else { absolute(&x) };
        let magnitude = self.case(x_absolute, absolute(&dy)).reference::<f64>().remove(0).1;
        // One term for each window that covers a pixel, with a quotient (2.5 u) and a product; then f' with up to four
        // roundings, one of which counts twice where 1 - y^2 is half of y^2.
        let around = window.kernel[0].div_ceil(window.stride[0]) * window.kernel[1].div_ceil(window.stride[1]);
        // With dropout, y and its product with the inverse scale are rounded too; f' and the quotient each see it.
        let bound = dot_bound(around + 7 + 4 * usize::from(self.dropout.is_some()), &magnitude);
        let mut checks = vec![Check::within("random", self.case(x, dy), |_, _| bound.clone())];
        let whole = |most, seed| integers(window.input_len(), most, seed);
        let gradients = integers(output_len(&window), 8, 4);
        match (kind, producer) {
            // The gradient of the norm of zeros is defined as 0, not as 0 / 0.
            (Kind::L2, _) => checks.push(Check::exact("zeros", self.case(vec![0.0; window.input_len()], gradients))),
            (_, Activation::Identity) if is_exact(kind, &window) => {
                checks.push(Check::exact("whole", self.case(whole(2, 3), gradients)));
            }
            (_, Activation::Relu) if is_exact(kind, &window) => {
                let x = whole(2, 3).iter().map(|v| v.max(0.0)).collect();
                checks.push(Check::exact("whole", self.case(x, gradients)));
            }
            _ => {}
        }
        checks
    }
}
