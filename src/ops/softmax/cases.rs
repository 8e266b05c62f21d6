use super::{Cost, Forward, Loss};
use crate::ops::{Op, Step};
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, TINY, U, Values, Verify, integers, random};

/// Loss functions, with the label smoothing.
const COSTS: [(Cost, f32); 3] = [(Cost::CrossEntropy, 0.0), (Cost::Quadratic, 0.0), (Cost::CrossEntropy, 0.1)];

/// N, number of classes: one row, one class, one below, exactly and one above a workgroup, thousands of classes.
const SHAPES: [(usize, usize); 10] =
    [(65, 17), (257, 10), (2, 3), (1, 1), (1, 2), (1, 10), (63, 10), (64, 5), (2, 1009), (3, 4096)];

/// Softmax and both loss functions at every shape.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let mut ops: Vec<Box<dyn Op>> = Vec::new();
    for (batch, classes) in SHAPES {
        ops.push(Box::new(Forward { batch, classes }));
        let loss = |(cost, smoothing)| Box::new(Loss { batch, classes, cost, smoothing }) as Box<dyn Op>;
        ops.extend(COSTS.map(loss));
    }
    ops
}

/// Softmax and a loss function at a random shape.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    let (batch, classes) = (draw.size(140), draw.size(60));
    let (cost, smoothing) = match draw.below(3) {
        0 => (Cost::Quadratic, 0.0),
        1 => (Cost::CrossEntropy, 0.0),
        _ => (Cost::CrossEntropy, draw.real(0.0..1.0) as f32),
    };
    vec![Box::new(Forward { batch, classes }), Box::new(Loss { batch, classes, cost, smoothing })]
}

/// Error bound of a probability a, in units of u. With t = x - max: each power exp(t) has a relative error of at most
/// (3 + 2.5 |t|) u, from rounding the subtraction and from exp, which WGSL allows an error of 3 + 2 |t| ULP. Since
/// |t| exp(t) < 0.4, the sum of powers, which is at least 1, has an error below (3 + C) u from that and C u from adding C
/// terms. The division may add 2.5 ULP. Since a <= exp(t), a |t| < 0.4 as well.
fn probability_error(classes: usize, a: f64) -> f64 {
    (2.0 * classes as f64 + 9.0) * a + 1.0
}

/// Logits outside the range of exp whose differences are inside it, and some that are far outside.
fn large(len: usize) -> Vec<f32> {
    const PATTERN: [f32; 15] =
        [1e4, -1e4, 0.0, -1e4, -1.1e4, -1.2e4, 9999.0, 1e4, 1e4, 1e30, -1e30, 1e30, -1e30, -1e30, -1e30];
    PATTERN.into_iter().cycle().take(len).collect()
}

impl Forward {
    /// A case with the given logits.
    pub fn case(&self, x: &[f32]) -> Case {
        Case::new(*self, vec![("x", Values::Real(x.to_vec()))])
    }
}

impl Verify for Forward {
    fn checks(&self) -> Vec<Check> {
        let len = self.batch * self.classes;
        let bound = |_: &str, values: &[f64]| -> Vec<f64> {
            values.iter().map(|a| probability_error(self.classes, *a) * U + TINY).collect()
        };
        let random: Vec<f32> = random(len, 1).iter().map(|v| v * 8.0).collect();
        vec![Check::within("random", self.case(&random), bound), Check::within("large", self.case(&large(len)), bound)]
    }
}

impl Loss {
    /// A case with the given logits and targets, of which the first `count` rows are images. Predictions start as a
    /// class that does not exist, so that a missing one is noticed.
    pub fn case(&self, x: &[f32], targets: &[u32], count: usize) -> Case {
        let given = vec![
            ("x", Values::Real(x.to_vec())),
            ("targets", Values::Int(targets.to_vec())),
            ("prediction", Values::Int(vec![12_345; self.batch])),
        ];
        Case::new(*self, given).with_step(Step { first: 3, count: count as u32, ..Step::default() })
    }

    /// Error bounds of dx; padding must be exactly zero.
    pub fn gradient_bound(&self, x: &[f32], count: usize) -> Vec<f64> {
        let classes = self.classes;
        let a = Forward { batch: self.batch, classes }.case(x).reference::<f64>().remove(0).1;
        let c = classes as f64;
        let error = |a: f64| match self.cost {
            // e = a - q, divided by count: three more roundings of values of at most 1, and five in q if it is
            // smoothed.
            Cost::CrossEntropy if self.smoothing > 0.0 => probability_error(classes, a) + 9.0,
            Cost::CrossEntropy => probability_error(classes, a) + 4.0,
            // a (e - inner): the error of the probability twice, because |e - inner| <= 2, and once more in e; inner, a
            // sum of C terms with sum |a e| <= 1, has an error of (5 C + 23) u; and there are seven roundings.
            Cost::Quadratic => {
                2.0 * probability_error(classes, a) + a * (probability_error(classes, a) + 5.0 * c + 32.0)
            }
        };
        let bound = |(i, a): (usize, &f64)| {
            if i < count * classes { error(*a) * U / count as f64 + c * TINY } else { 0.0 }
        };
        a.iter().enumerate().map(bound).collect()
    }

    /// Error bounds of the loss.
    pub(in crate::ops) fn loss_bound(&self, loss: &[f64], count: usize) -> Vec<f64> {
        let c = self.classes as f64;
        let error = |loss: f64| match self.cost {
            // The relative error of the sum is the absolute error of its logarithm; log itself may have an error of
            // 2^-21 or 3 ULP, and neither summand exceeds the loss. With smoothing, the loss is a weighted mean of C
            // such terms, none negative, and each weight takes three roundings and a division.
            Cost::CrossEntropy if self.smoothing > 0.0 => 2.0 * c + 7.0 + (c + 10.0) * loss,
            Cost::CrossEntropy => 2.0 * c + 7.0 + 4.0 * loss,
            // The error of each e weighted by |e|, with sum |e| <= 2; then a sum of C terms, at most 1 in total.
            Cost::Quadratic => 3.0 * c + 15.0,
        };
        let bound = |(n, loss): (usize, &f64)| if n < count { error(*loss) * U + c * TINY } else { 0.0 };
        loss.iter().enumerate().map(bound).collect()
    }

    /// A check of a slice: the gradients are divided by the number of images in the whole batch, `total`.
    fn check_slice(&self, x: &[f32], targets: &[u32], total: usize) -> Check {
        let mut case = self.case(x, targets, self.batch);
        case.step.total = total as u32;
        let gradient: Vec<f64> = self
            .gradient_bound(x, self.batch)
            .iter()
            .map(|bound| bound * self.batch as f64 / total as f64 + TINY)
            .collect();
        Check::within("slice", case, |name, values| match name {
            "dx" => gradient.clone(),
            "loss" => self.loss_bound(values, self.batch),
            _ => vec![0.0; values.len()],
        })
    }

    /// A check of gradients and losses within their bounds, and of exact predictions.
    fn check(&self, what: &'static str, x: &[f32], targets: &[u32], count: usize) -> Check {
        let gradient = self.gradient_bound(x, count);
        Check::within(what, self.case(x, targets, count), |name, values| match name {
            "dx" => gradient.clone(),
            "loss" => self.loss_bound(values, count),
            _ => vec![0.0; values.len()],
        })
    }
}

impl Verify for Loss {
    fn checks(&self) -> Vec<Check> {
        let Loss { batch, classes, .. } = *self;
        let x: Vec<f32> = random(batch * classes, 1).iter().map(|v| v * 8.0).collect();
        let targets: Vec<u32> = (0..batch).map(|n| (n * 7 % classes) as u32).collect();
        // Small integers: nearly every row has several largest logits.
        let ties = integers(batch * classes, 1, 5);
        let mut checks = vec![
            self.check("random", &x, &targets, batch),
            self.check("ties", &ties, &targets, batch),
            self.check("large", &large(batch * classes), &targets, batch),
            self.check_slice(&x, &targets, 3 * batch + 1),
        ];
        for count in [0, batch / 2] {
            // Padding rows may hold anything.
            let mut x = x.clone();
            x[count * classes..].fill(1e30);
            x[batch * classes - 1] = f32::NAN;
            checks.push(self.check("padding", &x, &targets, count));
        }
        checks
    }
}
