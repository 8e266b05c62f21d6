use crate::common::{Case, Values, agrees, integers};
use shadegrad::ops::Activation;
use shadegrad::ops::dense::{BackwardInput, BackwardWeight, Forward, Geometry};
use shadegrad::verify::Operands;

fn geometry([batch, inputs, outputs]: [usize; 3]) -> Geometry {
    Geometry { batch, inputs, outputs }
}

fn forward(operands: &Operands, geometry: Geometry, activation: Activation) -> Case {
    Case::new(Forward { geometry, activation, dropout: None }, operands.given(&["x", "w", "b"]))
}

fn backward_input(operands: &Operands, geometry: Geometry, producer: Activation) -> Case {
    Case::new(BackwardInput { geometry, producer, dropout: None }, operands.given_behind(producer))
}

fn backward_weight(operands: &Operands, geometry: Geometry) -> Case {
    Case::new(BackwardWeight { geometry }, operands.given(&["x", "dy"]))
}

fn real(values: &[f32]) -> Values {
    Values::Real(values.to_vec())
}

/// The first output, from the f64 reference.
fn expected(case: &Case) -> Vec<f64> {
    case.reference::<f64>().remove(0).1
}

/// `db`, from the f64 reference.
fn bias_gradient(operands: &Operands, geometry: Geometry) -> Vec<f64> {
    backward_weight(operands, geometry).reference::<f64>().remove(1).1
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
    assert_eq!(expected(&forward(&operands, g, Activation::Identity)), [32.0, -2.0, 12.0, -28.0]);
    assert_eq!(expected(&forward(&operands, g, Activation::Relu)), [32.0, 0.0, 12.0, 0.0]);
    assert_eq!(expected(&backward_input(&operands, g, Activation::Identity)), [5.0, 11.0, 17.0, -2.0, -4.0, -6.0]);
    assert_eq!(expected(&backward_input(&operands, g, Activation::Relu)), [5.0, 11.0, 17.0, 0.0, 0.0, -6.0]);
    assert_eq!(expected(&backward_weight(&operands, g)), [1.0, 2.0, 2.0, 5.0, 3.0, 5.0]);
    assert_eq!(bias_gradient(&operands, g), [1.0, 1.0]);
    let half = vec![("dy", real(&operands.dy)), ("w", real(&operands.w)), ("x", real(&[0.5; 6]))];
    let dx = |producer| expected(&Case::new(BackwardInput { geometry: g, producer, dropout: None }, half.clone()));
    assert_eq!(dx(Activation::Sigmoid), [1.25, 2.75, 4.25, -0.5, -1.0, -1.5]);
    assert_eq!(dx(Activation::Tanh), [3.75, 8.25, 12.75, -1.5, -3.0, -4.5]);
}

/// Without bias and activation, the sum of dy y is linear in x and in w, so it equals the sum of x dx and the sum of w
/// dw for any dy: the gradients match the forward pass. All numbers are whole, so they must be equal.
#[test]
fn reference_gradients_match_the_forward_pass() {
    for g in Geometry::edge_cases() {
        let mut operands = g.whole();
        operands.b.fill(0.0);
        let y = dot(&operands.dy, &expected(&forward(&operands, g, Activation::Identity)));
        let dx = dot(&operands.x, &expected(&backward_input(&operands, g, Activation::Identity)));
        let dw = dot(&operands.w, &expected(&backward_weight(&operands, g)));
        assert_eq!((y, y), (dx, dw), "{g:?}");
        // y = b where x is zero.
        operands.x.fill(0.0);
        operands.b = integers(g.outputs, 3, 5);
        let y = dot(&operands.dy, &expected(&forward(&operands, g, Activation::Identity)));
        let db = dot(&operands.b, &bias_gradient(&operands, g));
        assert_eq!(y, db, "{g:?}");
    }
}

#[test]
fn forward_agrees_with_the_reference() {
    agrees("dense.forward");
}

#[test]
fn backward_input_agrees_with_the_reference() {
    agrees("dense.backward_input");
}

#[test]
fn backward_weight_agrees_with_the_reference() {
    agrees("dense.backward_weight");
}
