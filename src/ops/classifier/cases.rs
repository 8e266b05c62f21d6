use super::{Loss, MOST_CLASSES};
use crate::ops::dropout::Mask;
use crate::ops::softmax::Cost;
use crate::ops::{Activation, Op, Step, dense};
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, Operands, U, Values, Verify, dot_bound};

/// How much more an output of softmax with a cost changes than the largest change of a logit, at most. With d that change,
/// `|da[j]| <= 2 a[j] (1 - a[j]) d`. So the cross-entropy and its gradient change by at most 2 d, and the quadratic cost as
/// well. Its gradient `a[j] (e[j] - inner)` changes by at most 5.3 d: d from the factor a[j], since |e[j] - inner| <= 2,
/// 0.3 d from e[j], and 4 d from inner.
const SLOPE: f64 = 6.0;

const ALL: [Activation; 4] = [Activation::Relu, Activation::Identity, Activation::Sigmoid, Activation::Tanh];

/// Loss functions, with the label smoothing.
const COSTS: [(Cost, f32); 3] = [(Cost::CrossEntropy, 0.0), (Cost::Quadratic, 0.0), (Cost::CrossEntropy, 0.1)];

/// N, I, classes: as in `case2`; fewer and more inputs than invocations, a multiple of their number and one vec4 more;
/// one row, one class, as many classes as there can be.
const SHAPES: [[usize; 3]; 9] = [
    [7, 128, 10],
    [3, 260, 10],
    [2, 256, 3],
    [5, 4, 10],
    [1, 1152, 10],
    [65, 12, 1],
    [3, 20, MOST_CLASSES],
    [4, 516, 17],
    [101, 36, 5],
];

/// Every shape with every loss function, and alternating activations and dropout before it.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let mut ops: Vec<Box<dyn Op>> = Vec::new();
    for (i, [batch, inputs, outputs]) in SHAPES.into_iter().enumerate() {
        let geometry = dense::Geometry { batch, inputs, outputs };
        for (j, (cost, smoothing)) in COSTS.into_iter().enumerate() {
            let dropout = (j == i % 3).then_some(Mask { rate: 0.4, layer: 3, width: inputs });
            ops.push(Box::new(Loss { geometry, producer: ALL[(i + j) % 4], dropout, cost, smoothing }));
        }
    }
    ops
}

/// The pass at a random shape.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    let (batch, inputs, outputs) = (draw.size(60), 4 * draw.size(200), draw.size(MOST_CLASSES));
    let (cost, smoothing) = draw.one_of(&COSTS);
    let dropout = draw.once_in(3).then(|| Mask { rate: draw.real(0.0..0.9), layer: 3, width: inputs });
    let geometry = dense::Geometry { batch, inputs, outputs };
    vec![Box::new(Loss { geometry, producer: draw.one_of(&ALL), dropout, cost, smoothing })]
}

impl Loss {
    /// Operands of the dense layer, where `x` has values that the producer can have put out.
    fn operands(&self) -> Operands {
        let dense::Geometry { batch, inputs, outputs } = self.geometry;
        let lens = [batch * inputs, inputs * outputs, outputs, batch * outputs];
        let mut operands = Operands::random(lens, inputs);
        for (name, values) in operands.given_behind(self.producer) {
            if let ("x", Values::Real(x)) = (name, values) {
                operands.x = x;
            }
        }
        operands
    }

    fn case(&self, operands: &Operands, count: usize) -> Case {
        let batch = self.geometry.batch;
        let targets: Vec<u32> = (0..batch).map(|n| (n * 7 % self.geometry.outputs) as u32).collect();
        let mut given = operands.given(&["x", "w", "b"]);
        // Predictions start as a class that does not exist, so that a missing one is noticed.
        given.extend([("targets", Values::Int(targets)), ("prediction", Values::Int(vec![12_345; batch]))]);
        Case::new(*self, given).with_step(Step { row: 8, count: count as u32, step: 3, ..Step::default() })
    }

    /// A check with random operands, of which the first `count` rows are images.
    fn check(&self, what: &'static str, count: usize) -> Check {
        let dense::Geometry { batch, inputs, outputs } = self.geometry;
        let operands = self.operands();
        let case = |op: dense::Forward, operands: &Operands| {
            Case::new(op, operands.given(&["x", "w", "b"])).reference::<f64>().remove(0).1
        };
        let z: Vec<f32> = case(self.forward(), &operands).iter().map(|z| *z as f32).collect();
        // The error of a logit is that of a dot product; a gradient is divided by the number of images.
        let of_logits = dot_bound(inputs + 1, &case(self.forward(), &operands.absolute()));
        let largest = |n: usize| of_logits[n * outputs..][..outputs].iter().copied().fold(0.0, f64::max);
        let targets: Vec<u32> = (0..batch).map(|n| (n * 7 % outputs) as u32).collect();
        let loss = self.loss();
        let exact = loss.case(&z, &targets, count).reference::<f64>();
        let of_loss = loss.loss_bound(&exact[1].1, count);
        let of_gradient = loss.gradient_bound(&z, count);
        let images = count.max(1) as f64;
        let dy: Vec<f64> = of_gradient
            .iter()
            .enumerate()
            .map(|(i, bound)| if i < count * outputs { bound + SLOPE * largest(i / outputs) / images } else { 0.0 })
            .collect();
        // dx = f' times a sum: its own rounding, and the errors of dy with the weights.
        let gradient: Vec<f64> = exact[0].1.iter().map(|dy| dy.abs()).collect();
        let scale = self.dropout.map_or(1.0, |mask| f64::from(mask.scale()));
        let terms = (outputs + 6 + 2 * usize::from(self.dropout.is_some())) as f64;
        let dx: Vec<f64> = (0..batch * inputs)
            .map(|at| {
                let (n, i) = (at / inputs, at % inputs);
                let sum = |values: &[f64]| -> f64 {
                    (0..outputs).map(|j| values[n * outputs + j] * f64::from(operands.w[i * outputs + j]).abs()).sum()
                };
                let own = terms * U * (sum(&gradient) + f64::from(f32::MIN_POSITIVE));
                if n < count { scale * (own + sum(&dy) * (1.0 + terms * U)) } else { 0.0 }
            })
            .collect();
        Check::within(what, self.case(&operands, count), move |name, _| match name {
            "dy" => dy.clone(),
            "dx" => dx.clone(),
            "loss" => (0..batch).map(|n| if n < count { of_loss[n] + SLOPE * largest(n) } else { 0.0 }).collect(),
            // The random logits of a row differ by more than their errors.
            _ => vec![0.0; batch],
        })
    }
}

impl Verify for Loss {
    fn checks(&self) -> Vec<Check> {
        let batch = self.geometry.batch;
        vec![self.check("random", batch), self.check("padding", batch / 2)]
    }
}
