use crate::common::{Case, U, Values, integers, random};
use shadegrad::ops::Step;
use shadegrad::ops::sgd::Update;

/// One below, at and above a workgroup of vec4; lone elements; a prime; enough to fold a grid.
const LENGTHS: [usize; 8] = [1, 3, 5, 255, 256, 257, 1009, 5000];

/// mu, Nesterov, weight decay
const RULES: [(f32, bool, f32); 6] =
    [(0.0, false, 0.0), (0.0, false, 0.25), (0.5, false, 0.0), (0.5, false, 0.25), (0.5, true, 0.0), (0.5, true, 0.25)];

struct Operands {
    gradient: Vec<f32>,
    weights: Vec<f32>,
    velocity: Vec<f32>,
}

impl Operands {
    fn new(len: usize, values: impl Fn(usize, u64) -> Vec<f32>) -> Operands {
        Operands { gradient: values(len, 1), weights: values(len, 2), velocity: values(len, 3) }
    }

    fn case(&self, (momentum, nesterov, weight_decay): (f32, bool, f32), learning_rate: f32) -> Case {
        let given = vec![
            ("gradient", Values::Real(self.gradient.clone())),
            ("weights", Values::Real(self.weights.clone())),
            ("velocity", Values::Real(self.velocity.clone())),
        ];
        let op = Update { len: self.gradient.len(), momentum, nesterov, weight_decay };
        Case::new(op, given).with_step(Step { learning_rate, ..Step::default() })
    }
}

#[test]
fn reference_by_hand() {
    let operands = Operands { gradient: vec![1.0, -2.0], weights: vec![4.0, 8.0], velocity: vec![2.0, 0.0] };
    let expected = |rule| operands.case(rule, 0.5).expected();
    assert_eq!(expected((0.0, false, 0.0)), [("weights", vec![3.5, 9.0])]);
    // g = 2 and 0
    assert_eq!(expected((0.0, false, 0.25)), [("weights", vec![3.0, 8.0])]);
    assert_eq!(expected((0.5, false, 0.0)), [("weights", vec![3.0, 9.0]), ("velocity", vec![2.0, -2.0])]);
    // v = 3 and 0
    assert_eq!(expected((0.5, false, 0.25)), [("weights", vec![2.5, 8.0]), ("velocity", vec![3.0, 0.0])]);
    // Steps by g + v/2: 1 + 1 and -2 - 1
    assert_eq!(expected((0.5, true, 0.0)), [("weights", vec![3.0, 9.5]), ("velocity", vec![2.0, -2.0])]);
}

/// Small whole numbers and powers of 1/2: nothing is rounded, fused or not.
#[test]
fn is_exact_where_it_can_be() {
    for len in LENGTHS {
        for rule in RULES {
            Operands::new(len, |len, seed| integers(len, 100, seed)).case(rule, 0.125).check_exact();
        }
    }
}

/// v is a sum of three products, w one of v's terms twice (Nesterov) and of itself, all behind at most six roundings; each
/// is at most U / 2 of the sum of absolute terms.
#[test]
fn agrees_with_the_reference() {
    for len in LENGTHS {
        for (i, (momentum, nesterov, decay)) in RULES.into_iter().enumerate() {
            let rule = (momentum * 1.8, nesterov, decay * 0.02);
            let eta = [0.3, 0.01, 1e-5][i % 3];
            let operands = Operands::new(len, random);
            let (mu, decay, rate) = (f64::from(rule.0), f64::from(rule.2), f64::from(eta));
            let abs = |values: &[f32], i: usize| f64::from(values[i].abs());
            operands.case(rule, eta).check(|name, expected| {
                let bound = |i: usize| {
                    let g = abs(&operands.gradient, i) + decay * abs(&operands.weights, i);
                    let v = mu * abs(&operands.velocity, i) + g;
                    let terms = if name == "velocity" { v } else { abs(&operands.weights, i) + rate * (g + v) };
                    3.0 * U * terms + f64::from(f32::MIN_POSITIVE)
                };
                (0..expected.len()).map(bound).collect()
            });
        }
    }
}

/// eta 0 leaves every bit of the weights.
#[test]
fn a_rate_of_zero_moves_nothing() {
    let operands = Operands::new(1009, random);
    let weights: Vec<u32> = operands.weights.iter().map(|w| w.to_bits()).collect();
    for rule in RULES {
        let case = operands.case(rule, 0.0);
        for (variant, got) in case.run_everywhere() {
            assert_eq!(got[0].bits, weights, "{rule:?} {variant}");
        }
    }
}
