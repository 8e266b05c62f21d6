use super::{Update, corrections};
use crate::ops::{Op, Step};
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, TINY, U, Values, Verify, integers, random};

/// Enough to fold a grid; one below, exactly and one above the size of a workgroup, which is 64 vec4; a few elements; a
/// prime.
const LENGTHS: [usize; 8] = [5000, 257, 3, 1, 5, 255, 256, 1009];

/// Betas, epsilon, weight decay, decoupled: typical values, betas of zero, and powers of 1/2, for which the moments of
/// integers are exact.
const RULES: [(f32, f32, f32, f32, bool); 6] = [
    (0.9, 0.999, 1e-8, 0.0, false),
    (0.5, 0.5, 0.25, 0.25, false),
    (0.9, 0.999, 1e-8, 0.01, true),
    (0.9, 0.99, 1e-3, 0.01, false),
    (0.0, 0.0, 1e-2, 0.0, false),
    (0.5, 0.5, 0.25, 0.25, true),
];

/// Every length with every rule.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let update = |len, (beta1, beta2, epsilon, weight_decay, decoupled), clipped| {
        Box::new(Update { len, beta1, beta2, epsilon, weight_decay, decoupled, clipped }) as Box<dyn Op>
    };
    let plain = LENGTHS.into_iter().flat_map(|len| RULES.map(|rule| update(len, rule, false)));
    plain
        .chain(LENGTHS.into_iter().flat_map(|len| [update(len, RULES[1], true), update(len, RULES[2], true)]))
        .collect()
}

/// A random rule for a random number of weights.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    let [beta1, beta2] = [0, 1].map(|_| 1.0 - 10.0_f64.powf(draw.real(-4.0..0.0)) as f32);
    vec![Box::new(Update {
        len: draw.size(3000),
        beta1,
        beta2,
        epsilon: 10.0_f64.powf(draw.real(-12.0..0.0)) as f32,
        weight_decay: if draw.once_in(3) { 0.0 } else { draw.real(0.0..1.0) as f32 },
        decoupled: draw.once_in(2),
        clipped: draw.once_in(2),
    })]
}

/// Operands of the pass.
pub struct Operands {
    /// Gradient of the loss with respect to the weights.
    pub gradient: Vec<f32>,
    /// Weights before the step.
    pub weights: Vec<f32>,
    /// First moments before the step.
    pub first_moment: Vec<f32>,
    /// Second moments before the step; none is negative.
    pub second_moment: Vec<f32>,
}

impl Operands {
    /// Random operands.
    pub fn random(len: usize) -> Operands {
        let mut operands = Operands::new(len, random);
        operands.second_moment.iter_mut().for_each(|v| *v *= *v);
        operands
    }

    fn new(len: usize, values: impl Fn(usize, u64) -> Vec<f32>) -> Operands {
        let [gradient, weights, first_moment, second_moment] = [1, 2, 3, 4].map(|seed| values(len, seed));
        Operands { gradient, weights, first_moment, second_moment }
    }
}

impl Update {
    /// A case with the given values and learning rate, after `step` steps; clipping multiplies by 1/4, which is exact.
    pub fn case(&self, operands: &Operands, learning_rate: f32, step: usize) -> Case {
        let given = vec![
            ("gradient", Values::Real(operands.gradient.clone())),
            ("weights", Values::Real(operands.weights.clone())),
            ("first_moment", Values::Real(operands.first_moment.clone())),
            ("second_moment", Values::Real(operands.second_moment.clone())),
            ("scale", Values::Real(vec![0.25])),
        ];
        let [first_correction, second_correction] = corrections(self.beta1, self.beta2, step);
        let step = Step { learning_rate, first_correction, second_correction, ..Step::default() };
        Case::new(*self, given).with_step(step)
    }

    /// Error bounds of a weight and its two moments. A rounding changes a value by at most U / 2 of it.
    fn bounds(&self, operands: &Operands, step: &Step, i: usize) -> [f64; 3] {
        let of = |values: &[f32]| f64::from(values[i]);
        let (beta1, beta2) = (f64::from(self.beta1), f64::from(self.beta2));
        let (eta, c1, c2) = [step.learning_rate, step.first_correction, step.second_correction].map(f64::from).into();
        let (w, decay) = (of(&operands.weights), f64::from(self.weight_decay));
        let coupled = if self.decoupled { 0.0 } else { decay };
        // A product and a sum.
        let gradient = of(&operands.gradient) * if self.clipped { 0.25 } else { 1.0 };
        let g = gradient + coupled * w;
        let g_error = U * (gradient.abs() + coupled * w.abs());
        // Two products, 1 - beta and a sum for each moment; the second moment contains g twice.
        let m = beta1 * of(&operands.first_moment) + (1.0 - beta1) * g;
        let m_terms = beta1 * of(&operands.first_moment).abs() + (1.0 - beta1) * g.abs();
        let m_error = 2.0 * U * m_terms + (1.0 - beta1) * g_error + TINY;
        let v = beta2 * of(&operands.second_moment) + (1.0 - beta2) * g * g;
        let v_error = 3.0 * U * v + (1.0 - beta2) * (2.0 * g.abs() * g_error + g_error * g_error) + TINY;
        // |sqrt a - sqrt b| is at most |a - b| / sqrt b, and at most sqrt |a - b|; sqrt itself may have an error of 4.5 ULP.
        let root = v.sqrt();
        let root_error = (v_error / root.max(f64::MIN_POSITIVE)).min(v_error.sqrt()) + 4.5 * U * root;
        let below = c2 * root + f64::from(self.epsilon);
        let below_error = c2 * root_error + U * below;
        // Division may have an error of 2.5 ULP, which is at most 2.5 U; then two products.
        let quotient = (m.abs() + m_error) / (below - below_error).max(0.0) - m.abs() / below;
        let moved = eta * c1 * m.abs() / below;
        let w_error = eta * c1 * quotient + 4.0 * U * moved + 2.5 * U * (w.abs() + moved) + TINY;
        [w_error, m_error, v_error]
    }

    /// A check; `exact` says whether the moments must be exact.
    fn check(&self, what: &'static str, operands: &Operands, case: Case, exact: bool) -> Check {
        let step = case.step;
        Check::within(what, case, |name, values| {
            let bound = |i: usize| {
                let [w, m, v] = self.bounds(operands, &step, i);
                match name {
                    "weights" => w,
                    _ if exact => 0.0,
                    "first_moment" => m,
                    _ => v,
                }
            };
            (0..values.len()).map(bound).collect()
        })
    }
}

impl Verify for Update {
    fn checks(&self) -> Vec<Check> {
        let operands = Operands::random(self.len);
        let zeros = vec![0.0; self.len];
        let start = Operands { first_moment: zeros.clone(), second_moment: zeros, ..Operands::random(self.len) };
        let mut checks = vec![
            self.check("random", &operands, self.case(&operands, 0.01, 6), false),
            self.check("late", &operands, self.case(&operands, 1e-4, 1_000_000), false),
            self.check("start", &start, self.case(&start, 0.3, 0), false),
        ];
        if self.beta1 == 0.5 {
            // The moments are not rounded, whether multiply-adds are fused or not.
            let mut whole = Operands::new(self.len, |len, seed| integers(len, 100, seed));
            whole.second_moment.iter_mut().for_each(|v| *v = v.abs());
            checks.push(self.check("whole", &whole, self.case(&whole, 0.125, 3), true));
        }
        checks
    }
}
