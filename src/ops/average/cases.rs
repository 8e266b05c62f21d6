use super::Update;
use crate::ops::{Op, Step};
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, TINY, U, Values, Verify, integers, random};

/// Enough to fold a grid; one below, exactly and one above the size of a workgroup, which is 64 vec4; a few elements; a
/// prime.
const LENGTHS: [usize; 8] = [5000, 257, 3, 1, 5, 255, 256, 1009];

/// A multiple of a power of 1/2, for which integers give exact results; a typical decay; a small decay.
const DECAYS: [f32; 3] = [0.75, 0.999, 0.1];

/// Every length with every decay.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let op = |len, decay| Box::new(Update { len, decay }) as Box<dyn Op>;
    LENGTHS.into_iter().flat_map(|len| DECAYS.map(|decay| op(len, decay))).collect()
}

/// A random decay for a random number of weights.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    // Above 0 and below 1 even after rounding to f32.
    let decay = draw.real(1e-6..1.0 - 1e-6) as f32;
    vec![Box::new(Update { len: draw.size(3000), decay })]
}

impl Update {
    /// A case with the given values, in a step with the given limit.
    pub fn case(&self, weights: &[f32], average: &[f32], average_limit: f32) -> Case {
        let given = vec![("weights", Values::Real(weights.to_vec())), ("average", Values::Real(average.to_vec()))];
        Case::new(*self, given).with_step(Step { average_limit, ..Step::default() })
    }
}

impl Verify for Update {
    fn checks(&self) -> Vec<Check> {
        let (weights, average) = (random(self.len, 1), random(self.len, 2));
        let whole = |limit| self.case(&integers(self.len, 100, 1), &integers(self.len, 100, 2), limit);
        let mut checks = Vec::new();
        // Nothing is rounded, whether multiply-adds are fused or not.
        if (4.0 * self.decay).fract() == 0.0 {
            checks.push(Check::exact("whole", whole(1.0)));
        }
        if self.decay > 0.25 {
            checks.push(Check::exact("limited", whole(0.25)));
        }
        // Two products, one of them with a rounded factor, and their sum: at most three roundings for each term.
        for (name, limit) in [("random", 1.0), ("random, limited", 0.7)] {
            let decay = f64::from(self.decay.min(limit));
            let (weights, average) = (weights.clone(), average.clone());
            checks.push(Check::within(name, self.case(&weights, &average, limit), move |_, values| {
                let abs = |values: &[f32], i: usize| f64::from(values[i].abs());
                let terms = |i: usize| decay * abs(&average, i) + (1.0 - decay) * abs(&weights, i);
                (0..values.len()).map(|i| 1.5 * U * terms(i) + TINY).collect()
            }));
        }
        checks
    }
}
