//! The checks of layers with weights. Their outputs are sums of products: of small whole numbers, which are exact in
//! any order, and of random numbers, within the error bound of a dot product.

use super::{Case, Check, Given, Operands, activation_error, dot_bound};
use crate::ops::dropout::Mask;
use crate::ops::{Activation, Op, Step};

/// The row of a batch at which its slice in a case begins, a multiple of 4.
const SLICE_ROW: u32 = 8;

/// The operands of a layer with weights at one shape, for all of its passes.
pub(crate) struct Products {
    /// Small whole numbers.
    pub whole: Operands,
    /// Random numbers with sums in the range where activations are curved.
    pub random: Operands,
}

impl Products {
    /// The checks of `x w b -> y`, where each output is a sum of `terms` products and a bias. `linear` is `op` with the
    /// identity in place of its activation `f`, and without its `dropout`.
    pub fn forward<T: Op + Copy + 'static>(
        &self,
        [op, linear]: [T; 2],
        f: Activation,
        dropout: Option<Mask>,
        terms: usize,
    ) -> Vec<Check> {
        let given = |operands: &Operands, _| operands.given(&["x", "w", "b"]);
        // No activation has a slope above 1, so it does not enlarge the error of the sum. It only adds its own. The
        // product with the scale of dropout rounds once more.
        let terms = terms + 1 + usize::from(dropout.is_some());
        self.checks([op, linear], f, given, terms, activation_error(f), dropout)
    }

    /// The checks of `dy w -> dx`, where each output is a sum of `terms` products times f'(x). `linear` is `op` with
    /// the identity in place of `producer`, which is f, and without its `dropout`.
    pub fn backward_input<T: Op + Copy + 'static>(
        &self,
        [op, linear]: [T; 2],
        producer: Activation,
        dropout: Option<Mask>,
        terms: usize,
    ) -> Vec<Check> {
        // f' is at most 1, so it does not enlarge the error of the sum. Its own error of at most 2 u and the rounding
        // of its product with the sum are no more than four further terms would add. With dropout, the products with
        // its scale and of x with its inverse round as well, the latter by u / 2, which changes f' by at most u.
        let terms = terms + 4 + 2 * usize::from(dropout.is_some());
        self.checks([op, linear], producer, Operands::given_behind, terms, 0.0, dropout)
    }

    /// The checks of a pass that sums products of these operands alone, `terms` for each element.
    pub fn backward_weight<T: Op + Copy + 'static>(&self, op: T, names: &[&'static str], terms: usize) -> Vec<Check> {
        self.checks([op, op], Activation::Identity, |operands, _| operands.given(names), terms, 0.0, None)
    }

    /// `given` makes the tensors of a pass from operands, with an activation after or before it; `own` is the
    /// activation's error. Dropout multiplies all of it by its scale.
    fn checks<T: Op + Copy + 'static>(
        &self,
        [op, linear]: [T; 2],
        activation: Activation,
        given: impl Fn(&Operands, Activation) -> Vec<Given>,
        terms: usize,
        own: f64,
        dropout: Option<Mask>,
    ) -> Vec<Check> {
        let case = |op: T, operands: &Operands, activation| {
            let case = Case::new(op, given(operands, activation));
            // Dropout must not start over in each slice of a batch.
            let step = Step { row: SLICE_ROW, ..case.step };
            case.with_step(step)
        };
        let scale = dropout.map_or(1.0, |mask| f64::from(mask.scale()));
        // The sums of absolute terms.
        let magnitudes = case(linear, &self.random.absolute(), Activation::Identity).reference::<f64>();
        let bound = |output: &str| {
            let magnitude =
                magnitudes.iter().find(|(name, _)| *name == output).map(|(_, magnitude)| magnitude.as_slice());
            dot_bound(terms, magnitude.unwrap_or_default()).into_iter().map(|bound| scale * (bound + own)).collect()
        };
        Check::sums(activation, case(op, &self.whole, activation), case(op, &self.random, activation), bound)
    }
}
