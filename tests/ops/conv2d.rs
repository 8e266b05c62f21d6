use crate::common::{Case, U, Values, dot_bound, integers, random};
use shadegrad::ops::Activation;
use shadegrad::ops::conv2d::{BackwardInput, BackwardWeight, Forward, Geometry};
use shadegrad::shape::{Padding, Window2d};

const ALL: [Activation; 4] = [Activation::Identity, Activation::Relu, Activation::Sigmoid, Activation::Tanh];

/// N, [H, W, C], [R, S], stride, padding, K
type Shape = (usize, [usize; 3], [usize; 2], [usize; 2], Padding, usize);

/// Unkind shapes, by the kernels that they ask for.
const SHAPES: [Shape; 27] = [
    // Channels or filters that are no multiple of 4.
    (1, [1, 1, 1], [1, 1], [1, 1], Padding::Valid, 1),
    (1, [5, 5, 1], [3, 3], [1, 1], Padding::Valid, 3),
    (2, [7, 5, 3], [1, 1], [1, 1], Padding::Valid, 5),
    (3, [7, 11, 5], [3, 3], [2, 2], Padding::Same, 3),
    (2, [6, 7, 3], [5, 5], [1, 1], Padding::Same, 4),
    (2, [5, 6, 4], [2, 3], [1, 2], Padding::Explicit([1, 2]), 5),
    // Few channels: 1, 2 or 3 below a window of at most 32 taps.
    (1, [13, 7, 1], [5, 5], [1, 1], Padding::Same, 8),
    (5, [11, 13, 1], [3, 3], [1, 1], Padding::Valid, 20),
    (2, [9, 8, 2], [2, 3], [2, 1], Padding::Explicit([1, 2]), 12),
    (3, [10, 7, 3], [3, 3], [3, 3], Padding::Same, 16),
    // The same with rows that are whole vec4, and windows that begin 0 to 3 elements behind one; rows of one place below,
    // at and above a block of four.
    (2, [6, 8, 1], [3, 3], [1, 1], Padding::Same, 8),
    (3, [7, 12, 1], [3, 3], [1, 2], Padding::Valid, 4),
    (2, [5, 4, 3], [2, 2], [1, 1], Padding::Explicit([1, 1]), 12),
    (1, [9, 4, 2], [3, 3], [2, 1], Padding::Explicit([0, 1]), 20),
    (2, [4, 12, 3], [2, 4], [1, 3], Padding::Valid, 4),
    // Both multiples of 4: an image as large as the kernel, windows that skip pixels, pixels that no window reaches.
    (2, [6, 6, 4], [6, 6], [1, 1], Padding::Valid, 12),
    (1, [8, 8, 4], [3, 3], [2, 2], Padding::Valid, 4),
    (2, [7, 7, 4], [1, 1], [3, 3], Padding::Valid, 4),
    (1, [3, 2, 8], [3, 3], [1, 1], Padding::Explicit([2, 2]), 4),
    (7, [9, 5, 12], [2, 3], [1, 1], Padding::Same, 20),
    (3, [11, 9, 8], [3, 3], [2, 1], Padding::Explicit([1, 1]), 12),
    (2, [12, 10, 16], [5, 5], [2, 2], Padding::Same, 8),
    // Rows of three places, fewer than the four that a sum takes at once; the widest window that slides.
    (2, [5, 4, 8], [3, 2], [1, 1], Padding::Valid, 12),
    (1, [6, 11, 4], [1, 5], [1, 1], Padding::Same, 24),
    // Several tiles in every direction, and a rest: of places, of filters, of channels.
    (3, [17, 13, 12], [3, 3], [1, 1], Padding::Same, 68),
    (2, [7, 9, 68], [3, 3], [1, 1], Padding::Valid, 20),
    (1, [31, 37, 20], [3, 3], [1, 1], Padding::Same, 12),
];

fn geometry((batch, shape, kernel, stride, padding, filters): Shape) -> Geometry {
    Geometry { window: Window2d::new(batch, shape, kernel, stride, padding).unwrap(), filters }
}

/// Operands of all passes.
struct Operands {
    x: Vec<f32>,
    w: Vec<f32>,
    b: Vec<f32>,
    dy: Vec<f32>,
}

impl Operands {
    fn new(g: &Geometry, values: impl Fn(usize, u64) -> Vec<f32>) -> Operands {
        Operands {
            x: values(g.window.input_len(), 1),
            w: values(g.weight_len(), 2),
            b: values(g.filters, 3),
            dy: values(g.output_len(), 4),
        }
    }

    /// Products of at most 9, so that sums of up to a million terms are exact in any order.
    fn integers(g: &Geometry) -> Operands {
        Operands::new(g, |len, seed| integers(len, 3, seed))
    }

    /// Weights as a network starts with, so that sums stay where activations are curved.
    fn random(g: &Geometry) -> Operands {
        let scale = 1.0 / ((g.window.area() * g.window.channels) as f32).sqrt();
        let mut operands = Operands::new(g, random);
        operands.w.iter_mut().for_each(|w| *w *= scale);
        operands
    }

    fn absolute(&self) -> Operands {
        let abs = |values: &Vec<f32>| values.iter().map(|v| v.abs()).collect();
        Operands { x: abs(&self.x), w: abs(&self.w), b: abs(&self.b), dy: abs(&self.dy) }
    }

    fn forward(&self, geometry: Geometry, activation: Activation) -> Case {
        let given = vec![("x", real(&self.x)), ("w", real(&self.w)), ("b", real(&self.b))];
        Case::new(Forward { geometry, activation }, given)
    }

    /// The producer's output is made of x, whose values it must be able to have.
    fn backward_input(&self, geometry: Geometry, producer: Activation) -> Case {
        let output = |x: f32| match producer {
            Activation::Identity | Activation::Relu => x.max(0.0),
            Activation::Sigmoid => (x + 3.0) / 6.0,
            Activation::Tanh => x / 3.0,
        };
        let given = vec![
            ("dy", real(&self.dy)),
            ("w", real(&self.w)),
            ("x", Values::Real(self.x.iter().map(|x| output(*x)).collect())),
        ];
        Case::new(BackwardInput { geometry, producer }, given)
    }

    fn backward_weight(&self, geometry: Geometry) -> Case {
        Case::new(BackwardWeight { geometry }, vec![("x", real(&self.x)), ("dy", real(&self.dy))])
    }
}

fn real(values: &[f32]) -> Values {
    Values::Real(values.to_vec())
}

/// The only output, or that of the weights, as the f64 reference has it.
fn expected(case: &Case) -> Vec<f64> {
    case.expected().remove(0).1
}

/// The gradient of the biases.
fn expected_bias(case: &Case) -> Vec<f64> {
    case.expected().remove(1).1
}

fn dot(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * b).sum()
}

#[test]
fn reference_forward_by_hand() {
    let case = |shape: Shape, x: &[f32], w: &[f32], b: &[f32]| {
        let geometry = geometry(shape);
        let given = vec![("x", real(x)), ("w", real(w)), ("b", real(b))];
        expected(&Case::new(Forward { geometry, activation: Activation::Identity }, given))
    };
    let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let kernel = [1.0, 2.0, 3.0, 4.0];
    let y = case((1, [3, 3, 1], [2, 2], [1, 1], Padding::Valid, 1), &image, &kernel, &[10.0]);
    assert_eq!(y, [47.0, 57.0, 77.0, 87.0]);
    // The odd zero is below and right: windows start at rows and columns 0 and 2.
    let y = case((1, [3, 3, 1], [2, 2], [2, 2], Padding::Same, 1), &image, &kernel, &[0.0]);
    assert_eq!(y, [37.0, 21.0, 23.0, 9.0]);
    // One row of zeros above and below, none at the sides.
    let y = case((1, [1, 2, 1], [2, 2], [1, 1], Padding::Explicit([1, 0]), 1), &[1.0, 2.0], &kernel, &[0.0]);
    assert_eq!(y, [11.0, 5.0]);
    // Two images of one pixel; w[c,k].
    let y = case((2, [1, 1, 2], [1, 1], [1, 1], Padding::Valid, 2), &[1.0, 2.0, 0.0, 1.0], &kernel, &[0.0, 100.0]);
    assert_eq!(y, [7.0, 110.0, 3.0, 104.0]);
}

#[test]
fn reference_gradients_by_hand() {
    let geometry = geometry((1, [3, 3, 1], [2, 2], [1, 1], Padding::Valid, 1));
    let x = real(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    let (w, dy) = (real(&[1.0, 2.0, 3.0, 4.0]), real(&[1.0, 2.0, 3.0, 4.0]));
    let dw = Case::new(BackwardWeight { geometry }, vec![("x", x), ("dy", dy.clone())]);
    assert_eq!(expected(&dw), [37.0, 47.0, 67.0, 77.0]);
    assert_eq!(expected_bias(&dw), [10.0]);
    // Each dy spreads w over the window it came from.
    let dx = |producer, x: &[f32]| {
        let given = vec![("dy", dy.clone()), ("w", w.clone()), ("x", real(x))];
        expected(&Case::new(BackwardInput { geometry, producer }, given))
    };
    assert_eq!(dx(Activation::Identity, &[0.0; 9]), [1.0, 4.0, 4.0, 6.0, 20.0, 16.0, 9.0, 24.0, 16.0]);
    let x = [1.0, 0.0, 2.0, 0.0, 0.5, 0.0, 3.0, 0.0, 0.25];
    assert_eq!(dx(Activation::Relu, &x), [1.0, 0.0, 4.0, 0.0, 20.0, 0.0, 9.0, 0.0, 16.0]);
    assert_eq!(dx(Activation::Sigmoid, &[0.5; 9]), [0.25, 1.0, 1.0, 1.5, 5.0, 4.0, 2.25, 6.0, 4.0]);
    assert_eq!(dx(Activation::Tanh, &[0.5; 9]), [0.75, 3.0, 3.0, 4.5, 15.0, 12.0, 6.75, 18.0, 12.0]);
}

/// Without bias and activation, sum of dy y is linear in x and in w, so it equals sum of x dx and sum of w dw, whatever dy:
/// the gradients are those of the forward pass. All numbers are whole, so they must be equal.
#[test]
fn reference_gradients_belong_to_the_forward_pass() {
    for shape in SHAPES {
        let g = geometry(shape);
        let mut operands = Operands::integers(&g);
        operands.b.fill(0.0);
        let y = dot(&operands.dy, &expected(&operands.forward(g, Activation::Identity)));
        let dx = dot(&operands.x, &expected(&operands.backward_input(g, Activation::Identity)));
        let dw = dot(&operands.w, &expected(&operands.backward_weight(g)));
        assert_eq!((y, y), (dx, dw), "{shape:?}");
        // y = b where x is zero.
        operands.x.fill(0.0);
        operands.b = integers(g.filters, 3, 5);
        let y = dot(&operands.dy, &expected(&operands.forward(g, Activation::Identity)));
        let db = dot(&operands.b, &expected_bias(&operands.backward_weight(g)));
        assert_eq!(y, db, "{shape:?}");
    }
}

/// No activation here has a slope above 1, so it does not enlarge the sum's error; it adds its own, which the test of
/// activation derives.
fn check_forward(operands: &Operands, g: Geometry, activation: Activation) {
    let terms = g.window.area() * g.window.channels + 1;
    let magnitude = expected(&operands.absolute().forward(g, Activation::Identity));
    let own = if matches!(activation, Activation::Sigmoid | Activation::Tanh) { 40.0 * U } else { 0.0 };
    let bound: Vec<f64> = dot_bound(terms, &magnitude).iter().map(|bound| bound + own).collect();
    operands.forward(g, activation).check(|_, _| bound.clone());
}

/// f' is at most 1, so it does not enlarge the sum's error. It is off by at most 2 u itself, and its product with the sum
/// is rounded: no more than four terms more would be.
fn check_backward_input(operands: &Operands, g: Geometry, producer: Activation) {
    let terms = g.window.area() * g.filters + 4;
    let magnitude = expected(&operands.absolute().backward_input(g, Activation::Identity));
    operands.backward_input(g, producer).check(|_, _| dot_bound(terms, &magnitude));
}

#[test]
fn forward_agrees_with_the_reference() {
    for (i, shape) in SHAPES.into_iter().enumerate() {
        let g = geometry(shape);
        println!("{shape:?}");
        Operands::integers(&g).forward(g, ALL[i % 2]).check_exact();
        check_forward(&Operands::random(&g), g, ALL[i % 2]);
    }
}

#[test]
fn backward_input_agrees_with_the_reference() {
    for (i, shape) in SHAPES.into_iter().enumerate() {
        let g = geometry(shape);
        println!("{shape:?}");
        Operands::integers(&g).backward_input(g, ALL[i % 2]).check_exact();
        check_backward_input(&Operands::random(&g), g, ALL[i % 2]);
    }
}

#[test]
fn backward_weight_agrees_with_the_reference() {
    for shape in SHAPES {
        let g = geometry(shape);
        println!("{shape:?}");
        Operands::integers(&g).backward_weight(g).check_exact();
        let operands = Operands::random(&g);
        let magnitude = operands.absolute().backward_weight(g).expected();
        operands.backward_weight(g).check(|output, _| {
            let (_, magnitude) = magnitude.iter().find(|(name, _)| *name == output).unwrap();
            dot_bound(g.window.places(), magnitude)
        });
    }
}

/// One shape for each kind of kernel.
#[test]
fn every_activation_stands_in_the_epilogue() {
    for shape in [SHAPES[2], SHAPES[8], SHAPES[20]] {
        let g = geometry(shape);
        let operands = Operands::random(&g);
        for activation in ALL {
            check_forward(&operands, g, activation);
            check_backward_input(&operands, g, activation);
        }
    }
}

/// Sums longer than llvmpipe's loops, which end silently after 65,535 turns: places, and taps of a window as large as its
/// image.
#[test]
fn long_sums_are_complete() {
    for (channels, filters) in [(1, 3), (1, 4), (4, 4)] {
        let g = geometry((17, [64, 64, channels], [1, 1], [1, 1], Padding::Valid, filters));
        assert!(g.window.places() > 65_535);
        let operands = Operands::integers(&g);
        operands.backward_weight(g).check_exact();
    }
    for (channels, filters) in [(3, 3), (4, 4)] {
        let g = geometry((2, [150, 150, channels], [150, 150], [1, 1], Padding::Valid, filters));
        assert!(g.weight_len() / filters > 65_535);
        Operands::integers(&g).forward(g, Activation::Relu).check_exact();
    }
    // Every tap of a wide window reaches every pixel.
    for channels in [3, 4] {
        let g = geometry((1, [1, 150, channels], [1, 150], [1, 1], Padding::Explicit([0, 149]), 440));
        assert!(g.weight_len() / channels > 65_535);
        Operands::integers(&g).backward_input(g, Activation::Relu).check_exact();
    }
}
