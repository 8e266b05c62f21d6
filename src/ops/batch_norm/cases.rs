use super::{BackwardInput, BackwardWeight, Forward, Geometry, Running, Statistics};
use crate::ops::{Activation, Op, Step};
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, Given, TINY, U, Values, Verify, activation_error, integers, random};

const ALL: [Activation; 4] = [Activation::Relu, Activation::Identity, Activation::Tanh, Activation::Sigmoid];

/// N, pixels, C: numbers of channels for packs of each size and for none, numbers of rows around the parts of a sum, a
/// single row, a single channel.
const SHAPES: [[usize; 3]; 12] = [
    [3, 7, 8],
    [5, 13, 12],
    [3, 11, 5],
    [1, 1, 4],
    [2, 1, 1],
    [1, 64, 4],
    [1, 65, 4],
    [1, 63, 16],
    [7, 9, 3],
    [4, 121, 8],
    [257, 1, 20],
    [2, 1, 257],
];

/// Every pass with every shape, with alternating activations.
pub(crate) fn edge_cases() -> Vec<Box<dyn Op>> {
    let mut ops: Vec<Box<dyn Op>> = Vec::new();
    for (i, [batch, places, channels]) in SHAPES.into_iter().enumerate() {
        let geometry = Geometry { batch, places, channels };
        let epsilon = [1e-5, 1e-3][i % 2];
        let momentum = [0.1, 0.25][i % 2];
        ops.push(Box::new(Statistics { geometry, momentum }));
        ops.push(Box::new(Running { geometry, momentum }));
        for turn in 0..2 {
            let activation = ALL[(i + turn) % 4];
            ops.push(Box::new(Forward { geometry, epsilon, activation }));
            ops.push(Box::new(BackwardInput { geometry, epsilon, producer: activation }));
        }
        ops.push(Box::new(BackwardWeight { geometry, epsilon }));
    }
    ops
}

/// Every pass at a random shape.
pub(crate) fn drawn(draw: &mut Draw) -> Vec<Box<dyn Op>> {
    let geometry = Geometry { batch: draw.size(20), places: draw.size(60), channels: draw.channels(40) };
    // Layers accept any epsilon from the smallest normal f32 on; typical values are around 1e-5.
    let epsilon = 10.0_f64.powf(draw.real(-8.0..0.0)) as f32;
    let activation = draw.one_of(&ALL);
    let momentum = draw.real(0.0..1.0) as f32;
    vec![
        Box::new(Statistics { geometry, momentum }),
        Box::new(Running { geometry, momentum }),
        Box::new(Forward { geometry, epsilon, activation }),
        Box::new(BackwardInput { geometry, epsilon, producer: activation }),
        Box::new(BackwardWeight { geometry, epsilon }),
    ]
}

/// Operands for all passes.
struct Operands {
    geometry: Geometry,
    values: Vec<(&'static str, Vec<f32>)>,
}

impl Operands {
    fn new(geometry: Geometry) -> Operands {
        let channels = geometry.channels;
        let plus = |values: Vec<f32>, by: f32| values.into_iter().map(|v| v + by).collect::<Vec<_>>();
        let values = vec![
            // A mean far from zero, where a variance computed from the sum of squares would cancel.
            ("x", plus(random(geometry.elements(), 1), 2.0)),
            ("dy", random(geometry.elements(), 2)),
            ("w", plus(random(channels, 3), 0.5)),
            ("b", random(channels, 4)),
            ("mean", plus(random(channels, 5).iter().map(|v| 0.5 * v).collect(), 2.0)),
            ("var", plus(random(channels, 6), 1.01)),
            ("dw", random(channels, 7)),
            ("db", random(channels, 8)),
            ("running_mean", random(channels, 9)),
            ("running_var", plus(random(channels, 10), 1.5)),
        ];
        Operands { geometry, values }
    }

    fn with(mut self, name: &'static str, values: Vec<f32>) -> Operands {
        self.values.iter_mut().filter(|(known, _)| *known == name).for_each(|(_, old)| *old = values.clone());
        self
    }

    /// Operands with an `x` that `producer` could have produced, away from the limits of sigmoid and tanh, where 1 - y
    /// and 1 - y^2 cancel.
    fn behind(self, producer: Activation) -> Operands {
        let values = random(self.geometry.elements(), 1).into_iter();
        let x = match producer {
            Activation::Identity => return self,
            Activation::Relu => values.map(|v| v.max(0.0)).collect(),
            Activation::Sigmoid => values.map(|v| 0.5 + 0.4 * v).collect(),
            Activation::Tanh => values.map(|v| 0.7 * v).collect(),
        };
        self.with("x", x)
    }

    fn given(&self) -> Vec<Given> {
        self.values.iter().map(|(name, values)| (*name, Values::Real(values.clone()))).collect()
    }

    /// Element `i` of the tensor with this name.
    fn at(&self, name: &str, i: usize) -> f64 {
        match self.values.iter().find(|(known, _)| *known == name) {
            Some((_, values)) => f64::from(values[i]),
            None => unreachable!("no operand {name}"),
        }
    }

    /// Sum over the first `rows` rows of a term for each element of channel `c`.
    fn sum(&self, rows: usize, c: usize, term: impl Fn(usize) -> f64) -> f64 {
        (0..rows).map(|row| term(row * self.geometry.channels + c)).sum()
    }
}

/// Counts of images: the whole batch, and all but one image if there are several.
fn counts(geometry: Geometry) -> Vec<usize> {
    if geometry.batch > 1 { vec![geometry.batch, geometry.batch - 1] } else { vec![1] }
}

fn step(count: usize) -> Step {
    Step { count: count as u32, ..Step::default() }
}

/// Steps of whole and of padded batches, and of a slice of a batch of 7 more images, whose statistics ranks share.
fn steps(geometry: Geometry) -> Vec<Step> {
    let pooled = geometry.batch as u32 + 7;
    counts(geometry).into_iter().map(step).chain([Step { pooled, ..step(geometry.batch) }]).collect()
}

impl Statistics {
    /// A check where the error of a sum is at most `sum` u times the sum of its absolute terms.
    fn check(&self, what: &'static str, operands: Operands, count: usize, sum: f64) -> Check {
        let rows = count * self.geometry.places;
        let m = rows as f64;
        let momentum = f64::from(self.momentum);
        let case = Case::new(*self, operands.given()).with_step(step(count));
        Check::within(what, case, move |name, expected| {
            let bound = |c: usize| {
                let mean = operands.sum(rows, c, |i| operands.at("x", i)) / m;
                let size = operands.sum(rows, c, |i| operands.at("x", i).abs()) / m;
                // Division may have an error of 2.5 ULP.
                let of_mean = (sum + 2.5) * U * size;
                // An error d in the mean adds d^2; all terms are positive, and each takes three roundings.
                let var = operands.sum(rows, c, |i| (operands.at("x", i) - mean).powi(2)) / m + of_mean.powi(2);
                let of_var = (m + 6.0) * U * var + of_mean.powi(2);
                // Two products of rounded factors and their sum; the unbiased variance takes two divisions and a
                // product.
                let kept = |batch: f64, error: f64, running: f64| {
                    momentum * error + 4.0 * U * (momentum * batch.abs() + running.abs())
                };
                let unbiased = m / (m - 1.0).max(1.0);
                TINY + match name {
                    "mean" => of_mean,
                    "var" => of_var,
                    "running_mean" => kept(mean, of_mean, operands.at("running_mean", c)),
                    _ => kept(unbiased * var, unbiased * (of_var + 4.0 * U * var), operands.at("running_var", c)),
                }
            };
            (0..expected.len()).map(bound).collect()
        })
    }
}

impl Verify for Statistics {
    fn checks(&self) -> Vec<Check> {
        let checks = counts(self.geometry).into_iter().flat_map(|count| {
            // Sums of integers are exact, so a missing row, or a row of padding, is noticed.
            let whole = Operands::new(self.geometry).with("x", integers(self.geometry.elements(), 100, 1));
            let random = Operands::new(self.geometry);
            let terms = (count * self.geometry.places + 2) as f64;
            [self.check("whole", whole, count, 0.0), self.check("random", random, count, terms)]
        });
        // A slice without images has the statistics 0, and leaves the running ones as they are.
        let none = Case::new(*self, Operands::new(self.geometry).given()).with_step(step(0));
        checks.chain([Check::exact("no images", none)]).collect()
    }
}

impl Verify for Running {
    fn checks(&self) -> Vec<Check> {
        let check = |step: Step| {
            let operands = Operands::new(self.geometry);
            let momentum = f64::from(self.momentum);
            let m = self.geometry.pooled(&step) as f64;
            let case = Case::new(*self, operands.given()).with_step(step);
            Check::within("random", case, move |name, expected| {
                let (batch, running, unbiased) = match name {
                    "running_mean" => ("mean", "running_mean", 1.0),
                    _ => ("var", "running_var", m / (m - 1.0).max(1.0)),
                };
                let bound = |c: usize| {
                    let terms = momentum * (unbiased * operands.at(batch, c)).abs() + operands.at(running, c).abs();
                    // Two products of rounded factors and their sum, and for the variance a division, of at most 2.5
                    // ULP, and a product.
                    8.0 * U * terms + TINY
                };
                (0..expected.len()).map(bound).collect()
            })
        };
        steps(self.geometry).into_iter().map(check).collect()
    }
}

/// Error of 1 / sqrt(var + epsilon): half of the rounding of the sum, and 4.5 and 2.5 ULP, which the root and the
/// quotient may have.
const INVERSE: f64 = 8.0;

impl Verify for Forward {
    fn checks(&self) -> Vec<Check> {
        let operands = Operands::new(self.geometry);
        let (channels, epsilon, activation) = (self.geometry.channels, f64::from(self.epsilon), self.activation);
        let case = Case::new(*self, operands.given());
        vec![Check::within("random", case, move |_, y| {
            let bound = |i: usize| {
                let c = i % channels;
                let scale = operands.at("w", c) / (operands.at("var", c) + epsilon).sqrt();
                let product = ((operands.at("x", i) - operands.at("mean", c)) * scale).abs();
                // A difference, two products and a sum besides the inverse; every f has a slope of at most 1.
                U * ((INVERSE + 2.0) * product + operands.at("b", c).abs()) + activation_error(activation) + TINY
            };
            (0..y.len()).map(bound).collect()
        })]
    }
}

impl Verify for BackwardWeight {
    fn checks(&self) -> Vec<Check> {
        let check = |count: usize| {
            let operands = Operands::new(self.geometry);
            let epsilon = f64::from(self.epsilon);
            let rows = count * self.geometry.places;
            let channels = self.geometry.channels;
            let case = Case::new(*self, operands.given()).with_step(step(count));
            Check::within("random", case, move |name, expected| {
                let bound = |c: usize| {
                    let off = |i: usize| operands.at("x", i) - operands.at("mean", i % channels);
                    let inverse = (operands.at("var", c) + epsilon).sqrt().recip();
                    let terms = rows as f64 + 2.0;
                    TINY + match name {
                        "db" => terms * U * operands.sum(rows, c, |i| operands.at("dy", i).abs()),
                        _ => {
                            // A difference and two products besides the sum and the inverse.
                            let sum = operands.sum(rows, c, |i| (operands.at("dy", i) * off(i)).abs());
                            (terms + INVERSE + 2.0) * U * sum * inverse
                        }
                    }
                };
                (0..expected.len()).map(bound).collect()
            })
        };
        counts(self.geometry).into_iter().map(check).collect()
    }
}

impl Verify for BackwardInput {
    fn checks(&self) -> Vec<Check> {
        let check = |step: Step| {
            let operands = Operands::new(self.geometry).behind(self.producer);
            let epsilon = f64::from(self.epsilon);
            let rows = self.geometry.counted(&step);
            let m = self.geometry.pooled(&step) as f64;
            let channels = self.geometry.channels;
            let case = Case::new(*self, operands.given()).with_step(step);
            Check::within("random", case, move |_, dx| {
                let bound = |i: usize| {
                    if i >= rows * channels {
                        return 0.0;
                    }
                    let c = i % channels;
                    let inverse = (operands.at("var", c) + epsilon).sqrt().recip();
                    let of_db = operands.at("db", c) / m;
                    let off = operands.at("x", i) - operands.at("mean", c);
                    let of_dw = off * operands.at("dw", c) * inverse / m;
                    let terms = operands.at("dy", i).abs() + of_db.abs() + of_dw.abs();
                    // For each term: the inverse twice, another quotient, a difference, two products and two sums; then
                    // the roundings of f', which is at most 1.
                    (2.0 * INVERSE + 2.5 + 3.0 + 3.0) * U * (operands.at("w", c) * inverse).abs() * terms + TINY
                };
                (0..dx.len()).map(bound).collect()
            })
        };
        steps(self.geometry).into_iter().map(check).collect()
    }
}
