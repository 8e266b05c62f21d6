use crate::common::{Asserts, Case, Values, agrees, integers};
use shadegrad::ops::Activation;
use shadegrad::ops::conv2d::{BackwardInput, BackwardWeight, Forward, Geometry};
use shadegrad::shape::{Padding, Window2d};
use shadegrad::verify::Operands;

/// N, [H, W, C], [R, S], stride, padding, K
type Shape = (usize, [usize; 3], [usize; 2], [usize; 2], Padding, usize);

fn geometry((batch, shape, kernel, stride, padding, filters): Shape) -> Geometry {
    Geometry { window: Window2d::new(batch, shape, kernel, stride, padding).unwrap(), filters }
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

/// The only output, or that of the weights, from the f64 reference.
fn expected(case: &Case) -> Vec<f64> {
    case.reference::<f64>().remove(0).1
}

/// The gradient of the biases.
fn expected_bias(case: &Case) -> Vec<f64> {
    case.reference::<f64>().remove(1).1
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
        expected(&Case::new(Forward { geometry, activation: Activation::Identity, dropout: None }, given))
    };
    let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let kernel = [1.0, 2.0, 3.0, 4.0];
    let y = case((1, [3, 3, 1], [2, 2], [1, 1], Padding::Valid, 1), &image, &kernel, &[10.0]);
    assert_eq!(y, [47.0, 57.0, 77.0, 87.0]);
    // The odd zero is below and to the right: windows start at rows and columns 0 and 2.
    let y = case((1, [3, 3, 1], [2, 2], [2, 2], Padding::Same, 1), &image, &kernel, &[0.0]);
    assert_eq!(y, [37.0, 21.0, 23.0, 9.0]);
    // One row of zeros above and below, none at the sides.
    let y = case((1, [1, 2, 1], [2, 2], [1, 1], Padding::Explicit([1, 0]), 1), &[1.0, 2.0], &kernel, &[0.0]);
    assert_eq!(y, [11.0, 5.0]);
    // Two images of one pixel; w[c,k].
    let y = case((2, [1, 1, 2], [1, 1], [1, 1], Padding::Valid, 2), &[1.0, 2.0, 0.0, 1.0], &kernel, &[0.0, 100.0]);
    assert_eq!(y, [7.0, 110.0, 3.0, 104.0]);
}

/// A window with padding that covers as many rows and columns as the image has, but not the same: one of zeros, and two
/// of the image. A kernel that took the window for the whole image would multiply `w` with the wrong pixels.
#[test]
fn a_padded_window_of_the_images_size_by_hand() {
    let geometry = geometry((1, [3, 3, 1], [3, 3], [3, 3], Padding::Explicit([1, 1]), 1));
    let image = real(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    let given = vec![("x", image.clone()), ("w", image.clone()), ("b", real(&[0.0]))];
    // 1*5 + 2*6 + 4*8 + 5*9
    everywhere(Case::new(Forward { geometry, activation: Activation::Identity, dropout: None }, given), "y", &[94.0]);
    let dw = Case::new(BackwardWeight { geometry }, vec![("x", image.clone()), ("dy", real(&[2.0]))]);
    everywhere(dw, "dw", &[0.0, 0.0, 0.0, 0.0, 2.0, 4.0, 0.0, 8.0, 10.0]);
    let dx = Case::new(
        BackwardInput { geometry, producer: Activation::Identity, dropout: None },
        vec![("dy", real(&[2.0])), ("w", image)],
    );
    everywhere(dx, "dx", &[10.0, 12.0, 0.0, 16.0, 18.0, 0.0, 0.0, 0.0, 0.0]);
}

/// The reference, the GPU and the CPU engine give these numbers in all their variants.
fn everywhere(case: Case, output: &str, numbers: &[f64]) {
    assert_eq!(expected(&case), numbers, "reference");
    for (variant, outputs) in case.run_everywhere() {
        let got = outputs.iter().find(|one| one.name == output).unwrap();
        assert_eq!(got.values(), numbers, "{variant}");
    }
}

#[test]
fn reference_gradients_by_hand() {
    let geometry = geometry((1, [3, 3, 1], [2, 2], [1, 1], Padding::Valid, 1));
    let x = real(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    let (w, dy) = (real(&[1.0, 2.0, 3.0, 4.0]), real(&[1.0, 2.0, 3.0, 4.0]));
    let dw = Case::new(BackwardWeight { geometry }, vec![("x", x), ("dy", dy.clone())]);
    assert_eq!(expected(&dw), [37.0, 47.0, 67.0, 77.0]);
    assert_eq!(expected_bias(&dw), [10.0]);
    // Each dy spreads w over its window.
    let dx = |producer, x: &[f32]| {
        let given = vec![("dy", dy.clone()), ("w", w.clone()), ("x", real(x))];
        expected(&Case::new(BackwardInput { geometry, producer, dropout: None }, given))
    };
    assert_eq!(dx(Activation::Identity, &[0.0; 9]), [1.0, 4.0, 4.0, 6.0, 20.0, 16.0, 9.0, 24.0, 16.0]);
    let x = [1.0, 0.0, 2.0, 0.0, 0.5, 0.0, 3.0, 0.0, 0.25];
    assert_eq!(dx(Activation::Relu, &x), [1.0, 0.0, 4.0, 0.0, 20.0, 0.0, 9.0, 0.0, 16.0]);
    assert_eq!(dx(Activation::Sigmoid, &[0.5; 9]), [0.25, 1.0, 1.0, 1.5, 5.0, 4.0, 2.25, 6.0, 4.0]);
    assert_eq!(dx(Activation::Tanh, &[0.5; 9]), [0.75, 3.0, 3.0, 4.5, 15.0, 12.0, 6.75, 18.0, 12.0]);
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
        operands.b = integers(g.filters, 3, 5);
        let y = dot(&operands.dy, &expected(&forward(&operands, g, Activation::Identity)));
        let db = dot(&operands.b, &expected_bias(&backward_weight(&operands, g)));
        assert_eq!(y, db, "{g:?}");
    }
}

#[test]
fn forward_agrees_with_the_reference() {
    agrees("conv2d.forward");
}

#[test]
fn backward_input_agrees_with_the_reference() {
    agrees("conv2d.backward_input");
}

#[test]
fn backward_weight_agrees_with_the_reference() {
    agrees("conv2d.backward_weight");
}

/// One kernel against the convolution and the pooling that it stands for.
#[test]
fn pooled_forward_agrees_with_the_reference() {
    agrees("conv2d.forward_pooled");
}

#[test]
fn pooled_backward_weight_agrees_with_the_reference() {
    agrees("conv2d.backward_weight_pooled");
}
