use super::Add;
use crate::ops::{Op, Step};
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, Values, Verify, random};

/// Enough to fold a grid; one below, exactly and one above the size of a workgroup, which is 64 vec4; a few elements; a
/// prime.
const LENGTHS: [usize; 8] = [5000, 257, 3, 1, 5, 255, 256, 1009];

/// Every length.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    LENGTHS.into_iter().map(|len| Box::new(Add { len }) as Box<dyn Op>).collect()
}

/// A random number of gradients.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    vec![Box::new(Add { len: draw.size(3000) })]
}

impl Add {
    /// A case with the given values, in a part of a batch.
    pub fn case(&self, gradients: &[f32], sum: &[f32], part: u32) -> Case {
        let given = vec![("gradients", Values::Real(gradients.to_vec())), ("sum", Values::Real(sum.to_vec()))];
        Case::new(*self, given).with_step(Step { part, ..Step::default() })
    }
}

impl Verify for Add {
    /// Exact: each result is a copy, or one sum of two f32 numbers. What the first part finds in the sum does not matter.
    fn checks(&self) -> Vec<Check> {
        let (gradients, sum) = (random(self.len, 1), random(self.len, 2));
        let infinite = vec![f32::INFINITY; self.len];
        vec![
            Check::exact("first", self.case(&gradients, &sum, 0)),
            Check::exact("first, after an overflow", self.case(&gradients, &infinite, 0)),
            Check::exact("second", self.case(&gradients, &sum, 1)),
            Check::exact("last", self.case(&gradients, &sum, 1000)),
        ]
    }
}
