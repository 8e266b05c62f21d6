use crate::common::{Case, U, Values, dot_bound, integers, random};
use shadegrad::ops::Activation;
use shadegrad::ops::dense::{BackwardBias, BackwardInput, BackwardWeight, Forward, Geometry};

const ALL: [Activation; 4] = [Activation::Identity, Activation::Relu, Activation::Sigmoid, Activation::Tanh];

/// N, I, O: lone elements, primes, multiples of 4 on one side or that are none of a tile, several tiles and a rest in every direction.
const SHAPES: [[usize; 3]; 19] = [
    [1, 1, 1],
    [1, 7, 3],
    [2, 3, 5],
    [13, 17, 10],
    [64, 65, 1],
    [3, 12, 10],
    [4, 4, 1],
    [5, 128, 3],
    [101, 20, 7],
    [5, 10, 8],
    [1, 4, 4],
    [1, 128, 12],
    [4, 4, 20],
    [7, 20, 12],
    [16, 64, 64],
    [29, 36, 68],
    [53, 132, 16],
    [100, 16, 140],
    [127, 260, 36],
];

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
            x: values(g.batch * g.inputs, 1),
            w: values(g.inputs * g.outputs, 2),
            b: values(g.outputs, 3),
            dy: values(g.batch * g.outputs, 4),
        }
    }

    /// Products of at most 9, so that sums of up to a million terms are exact in any order.
    fn integers(g: &Geometry) -> Operands {
        Operands::new(g, |len, seed| integers(len, 3, seed))
    }

    /// Weights as a network starts with, so that sums stay where activations are curved.
    fn random(g: &Geometry) -> Operands {
        let scale = 1.0 / (g.inputs as f32).sqrt();
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

    fn backward_bias(&self, geometry: Geometry) -> Case {
        Case::new(BackwardBias { geometry }, vec![("dy", real(&self.dy))])
    }
}

fn geometry([batch, inputs, outputs]: [usize; 3]) -> Geometry {
    Geometry { batch, inputs, outputs }
}

fn real(values: &[f32]) -> Values {
    Values::Real(values.to_vec())
}

/// The only output, as the f64 reference has it.
fn expected(case: &Case) -> Vec<f64> {
    case.expected().remove(0).1
}

fn dot(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * b).sum()
}

#[test]
fn reference_by_hand() {
    let g = geometry([2, 3, 2]);
    let operands = Operands {
        x: vec![1.0, 2.0, 3.0, 0.0, -1.0, 1.0],
        w: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        b: vec![10.0, -30.0],
        dy: vec![1.0, 2.0, 0.0, -1.0],
    };
    assert_eq!(expected(&operands.forward(g, Activation::Identity)), [32.0, -2.0, 12.0, -28.0]);
    assert_eq!(expected(&operands.forward(g, Activation::Relu)), [32.0, 0.0, 12.0, 0.0]);
    assert_eq!(expected(&operands.backward_input(g, Activation::Identity)), [5.0, 11.0, 17.0, -2.0, -4.0, -6.0]);
    assert_eq!(expected(&operands.backward_input(g, Activation::Relu)), [5.0, 11.0, 17.0, 0.0, 0.0, -6.0]);
    assert_eq!(expected(&operands.backward_weight(g)), [1.0, 2.0, 2.0, 5.0, 3.0, 5.0]);
    assert_eq!(expected(&operands.backward_bias(g)), [1.0, 1.0]);
    let half = vec![("dy", real(&operands.dy)), ("w", real(&operands.w)), ("x", real(&[0.5; 6]))];
    let dx = |producer| expected(&Case::new(BackwardInput { geometry: g, producer }, half.clone()));
    assert_eq!(dx(Activation::Sigmoid), [1.25, 2.75, 4.25, -0.5, -1.0, -1.5]);
    assert_eq!(dx(Activation::Tanh), [3.75, 8.25, 12.75, -1.5, -3.0, -4.5]);
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
        operands.b = integers(g.outputs, 3, 5);
        let y = dot(&operands.dy, &expected(&operands.forward(g, Activation::Identity)));
        let db = dot(&operands.b, &expected(&operands.backward_bias(g)));
        assert_eq!(y, db, "{shape:?}");
    }
}

/// No activation here has a slope above 1, so it does not enlarge the sum's error; it adds its own, which the test of
/// activation derives.
fn check_forward(operands: &Operands, g: Geometry, activation: Activation) {
    let magnitude = expected(&operands.absolute().forward(g, Activation::Identity));
    let own = if matches!(activation, Activation::Sigmoid | Activation::Tanh) { 40.0 * U } else { 0.0 };
    let bound: Vec<f64> = dot_bound(g.inputs + 1, &magnitude).iter().map(|bound| bound + own).collect();
    operands.forward(g, activation).check(|_, _| bound.clone());
}

/// f' is at most 1, so it does not enlarge the sum's error. It is off by at most 2 u itself, and its product with the sum
/// is rounded: no more than four terms more would be.
fn check_backward_input(operands: &Operands, g: Geometry, producer: Activation) {
    let magnitude = expected(&operands.absolute().backward_input(g, Activation::Identity));
    operands.backward_input(g, producer).check(|_, _| dot_bound(g.outputs + 4, &magnitude));
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
        let magnitude = expected(&operands.absolute().backward_weight(g));
        operands.backward_weight(g).check(|_, _| dot_bound(g.batch, &magnitude));
    }
}

#[test]
fn backward_bias_agrees_with_the_reference() {
    for shape in SHAPES {
        let g = geometry(shape);
        println!("{shape:?}");
        Operands::integers(&g).backward_bias(g).check_exact();
        let operands = Operands::random(&g);
        let magnitude = expected(&operands.absolute().backward_bias(g));
        operands.backward_bias(g).check(|_, _| dot_bound(g.batch, &magnitude));
    }
}

/// Outputs of a tile and none of one.
#[test]
fn every_activation_stands_in_the_epilogue() {
    for shape in [[13, 17, 10], [29, 36, 68]] {
        let g = geometry(shape);
        let operands = Operands::random(&g);
        for activation in ALL {
            check_forward(&operands, g, activation);
            check_backward_input(&operands, g, activation);
        }
    }
}

/// Sums longer than llvmpipe's loops, which end silently after 65,535 turns.
#[test]
fn long_sums_are_complete() {
    for few in [3, 4] {
        let g = geometry([2, 70_000, few]);
        Operands::integers(&g).forward(g, Activation::Relu).check_exact();
        let g = geometry([2, few, 70_000]);
        Operands::integers(&g).backward_input(g, Activation::Relu).check_exact();
        let g = geometry([70_000, few, few]);
        Operands::integers(&g).backward_weight(g).check_exact();
        Operands::integers(&g).backward_bias(g).check_exact();
    }
}
