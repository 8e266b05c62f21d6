use super::Scale;
use crate::ops::Op;
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, TINY, U, Values, Verify, integers, random};

/// Enough for many workgroups and to fold a grid; a single element; one below, exactly and one above a pack and a
/// workgroup.
const LENGTHS: [usize; 9] = [40_000, 5001, 1, 3, 255, 256, 257, 2048, 1009];

/// Every length, clipped and not.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let op = |len, most| Box::new(Scale { len, most }) as Box<dyn Op>;
    LENGTHS.into_iter().flat_map(|len| [op(len, 0.5), op(len, 1e4)]).collect()
}

/// A random limit for a random number of weights.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    vec![Box::new(Scale { len: draw.size(5000), most: 10.0_f64.powf(draw.real(-6.0..6.0)) as f32 })]
}

impl Scale {
    /// A case with the given gradients.
    pub fn case(&self, gradient: &[f32]) -> Case {
        Case::new(*self, vec![("gradient", Values::Real(gradient.to_vec()))])
    }

    /// A check, where `sum` is the relative error of the sum of squares in units of u. The root halves it; root and
    /// division may have errors of 4.5 and 2.5 ULP, and 1 is exact.
    fn check(&self, what: &'static str, gradient: &[f32], sum: f64) -> Check {
        Check::within(what, self.case(gradient), |_, scale| vec![(0.51 * sum + 8.0) * U * scale[0] + TINY])
    }
}

impl Verify for Scale {
    fn checks(&self) -> Vec<Check> {
        // Squares of at most 9, whose sums are exact in any order, so that a missing element is noticed.
        let whole = integers(self.len, 3, 1);
        let random = random(self.len, 2);
        vec![self.check("whole", &whole, 0.0), self.check("random", &random, self.len as f64 + 2.0)]
    }
}
