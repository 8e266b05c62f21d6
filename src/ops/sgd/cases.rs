use super::Update;
use crate::ops::{Op, Step};
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, TINY, U, Values, Verify, integers, random};

/// Enough to fold a grid; one below, exactly and one above the size of a workgroup, which is 64 vec4; a few elements; a
/// prime.
const LENGTHS: [usize; 8] = [5000, 257, 3, 1, 5, 255, 256, 1009];

/// mu, Nesterov, weight decay: powers of 1/2, whose products with small integers are exact.
const RULES: [(f32, bool, f32); 6] =
    [(0.5, true, 0.25), (0.0, false, 0.25), (0.5, false, 0.0), (0.0, false, 0.0), (0.5, false, 0.25), (0.5, true, 0.0)];

/// Every length with every rule, with exact and with typical coefficients.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let mut ops: Vec<Box<dyn Op>> = Vec::new();
    for len in LENGTHS {
        for (momentum, nesterov, weight_decay) in RULES {
            ops.push(Box::new(Update { len, momentum, nesterov, weight_decay, clipped: false }));
            let (momentum, weight_decay) = (momentum * 1.8, weight_decay * 0.02);
            ops.push(Box::new(Update { len, momentum, nesterov, weight_decay, clipped: false }));
        }
    }
    for len in LENGTHS {
        for (momentum, nesterov, weight_decay) in [RULES[0], RULES[1]] {
            ops.push(Box::new(Update { len, momentum, nesterov, weight_decay, clipped: true }));
        }
    }
    ops
}

/// A random rule for a random number of weights.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    let [momentum, weight_decay] = [0, 1].map(|_| if draw.once_in(3) { 0.0 } else { draw.real(0.0..1.0) as f32 });
    let nesterov = momentum > 0.0 && draw.once_in(2);
    vec![Box::new(Update { len: draw.size(3000), momentum, nesterov, weight_decay, clipped: draw.once_in(2) })]
}

/// Operands of the pass.
struct Operands {
    gradient: Vec<f32>,
    weights: Vec<f32>,
    velocity: Vec<f32>,
}

impl Operands {
    fn new(len: usize, values: impl Fn(usize, u64) -> Vec<f32>) -> Operands {
        Operands { gradient: values(len, 1), weights: values(len, 2), velocity: values(len, 3) }
    }
}

impl Update {
    /// A case with the given values and learning rate; clipping multiplies by 1/4, which is exact.
    pub fn case(&self, gradient: &[f32], weights: &[f32], velocity: &[f32], learning_rate: f32) -> Case {
        let given = vec![
            ("gradient", Values::Real(gradient.to_vec())),
            ("weights", Values::Real(weights.to_vec())),
            ("velocity", Values::Real(velocity.to_vec())),
            ("scale", Values::Real(vec![0.25])),
        ];
        Case::new(*self, given).with_step(Step { learning_rate, ..Step::default() })
    }

    fn of(&self, operands: &Operands, learning_rate: f32) -> Case {
        self.case(&operands.gradient, &operands.weights, &operands.velocity, learning_rate)
    }
}

impl Verify for Update {
    fn checks(&self) -> Vec<Check> {
        let operands = Operands::new(self.len, random);
        let (mu, decay) = (f64::from(self.momentum), f64::from(self.weight_decay));
        let abs = |values: &[f32], i: usize| f64::from(values[i].abs());
        let mut checks = Vec::new();
        if [self.momentum, self.weight_decay].iter().all(|value| (4.0 * value).fract() == 0.0) {
            // Nothing is rounded, whether multiply-adds are fused or not.
            let whole = Operands::new(self.len, |len, seed| integers(len, 100, seed));
            checks.push(Check::exact("whole", self.of(&whole, 0.125)));
        }
        // v is a sum of three products. w is a sum of itself and, with Nesterov momentum, of the terms of v twice.
        // There are at most six roundings, each of at most U / 2 times the sum of the absolute terms.
        for eta in [0.3, 1e-5] {
            let rate = f64::from(eta);
            checks.push(Check::within("random", self.of(&operands, eta), |name, values| {
                let bound = |i: usize| {
                    let g = abs(&operands.gradient, i) + decay * abs(&operands.weights, i);
                    let v = mu * abs(&operands.velocity, i) + g;
                    let terms = if name == "velocity" { v } else { abs(&operands.weights, i) + rate * (g + v) };
                    3.0 * U * terms + TINY
                };
                (0..values.len()).map(bound).collect()
            }));
        }
        checks
    }
}
