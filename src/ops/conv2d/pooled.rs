//! A convolution and the pooling layer behind it in one pass, for windows of 2 x 2 places that do not overlap.
//!
//! Where pooling takes the maximum or minimum, no other pass needs the output of the convolution: its derivative follows
//! from the pooled value. So a kernel that computes the four places of a window need not store them. On a GPU, a device
//! [joins](crate::ops::joined) the two passes when it records them; no layer records this one.

use super::gpu::{BLOCK, SHARING};
use super::{BackwardWeight, Forward, Geometry};
use crate::error::Result;
use crate::fast::Fast;
use crate::ops::dropout::Mask;
use crate::ops::epilogue::Epilogue;
use crate::ops::matrix::{MOST_TERMS, Product, Rows};
use crate::ops::{Activation, Compute, Op, Record, Recorder, Step, pool2d};
use crate::plan::{Pass, Plan};
use crate::reference::{Real, Slice, SliceMut, Tensors};
use crate::shape::{Padding, Window2d};
use crate::verify::draw::Draw;
use crate::verify::{Case, Check, Operands, U, Values, Verify, activation_error, dot_bound};
use crate::wgsl;

/// The convolution and the pooling: reads `x`, `w` and `b`, and writes `y` and `m`.
#[derive(Clone, Copy, Debug)]
pub struct PooledForward {
    /// The convolution; its own `dropout` is none.
    pub forward: Forward,
    /// The pooling: of maxima or minima, with `m`.
    pub pool: pool2d::Forward,
}

impl PooledForward {
    /// The two passes as one, if there is a kernel for them.
    pub(super) fn new(forward: Forward, pool: pool2d::Forward) -> Option<PooledForward> {
        let apart = pool.window.kernel == [2, 2] && pool.window.stride == [2, 2];
        let pooled = pool.kind.is_extreme() && pool.keeps_m && apart;
        let g = &forward.geometry;
        let fits = g.is_direct() || g.is_matrix() && g.window.area() * g.window.channels <= MOST_TERMS;
        (pooled && fits && forward.dropout.is_none()).then_some(PooledForward { forward, pool })
    }

    /// Joins two passes at the start of `passes`, if they are these.
    pub(in crate::ops) fn join(_plan: &Plan, passes: &[Pass]) -> Option<(usize, Pass)> {
        let [forward, pool, ..] = passes else { return None };
        let op = PooledForward::new(*forward.op()?, *pool.op()?)?;
        if pool.inputs != forward.outputs {
            return None;
        }
        let label = format!("{} + {}", forward.label, pool.label);
        Some((2, Pass { label, op: Box::new(op), inputs: forward.inputs.clone(), outputs: pool.outputs.clone() }))
    }
}

impl Op for PooledForward {
    fn name(&self) -> &'static str {
        "conv2d.forward_pooled"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        self.forward.inputs()
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        self.pool.outputs()
    }
    fn flops(&self) -> u64 {
        self.forward.flops()
    }
}

/// One after the other: what the kernel computes at once.
impl Compute for PooledForward {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let step = tensors.step;
        let [x, w, b] = ["x", "w", "b"].map(|name| tensors.input(name));
        let mut z = vec![F::zero(); self.forward.geometry.output_len()];
        self.forward.compute(&mut Tensors {
            step,
            inputs: vec![("x", Slice::Real(x)), ("w", Slice::Real(w)), ("b", Slice::Real(b))],
            outputs: vec![("y", Some(SliceMut::Real(&mut z)))],
        });
        let (y, m) = (tensors.output("y"), tensors.output_int("m"));
        self.pool.compute(&mut Tensors {
            step,
            inputs: vec![("x", Slice::Real(&z))],
            outputs: vec![("y", Some(SliceMut::Real(y))), ("m", Some(SliceMut::Int(m)))],
        });
    }
}

/// The CPU runs the two passes, which the reference of this pass does as well.
impl Fast for PooledForward {}

impl Record for PooledForward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let (g, pool) = (&self.forward.geometry, &self.pool.window);
        if g.is_matrix() {
            // The other forms have no tiles of whole windows.
            to.staged(|to| self.product(to));
            return Ok(());
        }
        g.direct(wgsl!("conv2d/forward_direct_pooled.wgsl"), to)
            .with(wgsl!("pool2d/kind.wgsl"))
            .with(self.forward.activation.source())
            .drops(self.pool.dropout)
            .set("KIND", self.pool.kind as usize)
            .reads("b")
            .left("x")
            .right("w")
            .writes("y")
            .writes("m")
            .for_each(pool.batch * pool.out_height * pool.out_width.div_ceil(BLOCK / 2) * g.filters / 4);
        Ok(())
    }
}

impl PooledForward {
    fn product(&self, to: &mut Recorder<'_>) {
        let (g, pool) = (&self.forward.geometry, &self.pool.window);
        let map = g.map(wgsl!("conv2d/forward.wgsl"), to).with(wgsl!("conv2d/places_pooled.wgsl"));
        map.set("PADDED", g.padded()).multiply(Product {
            m: 4 * pool.places(),
            n: g.filters,
            k: g.window.area() * g.window.channels,
            left: "x",
            right: "w",
            product: "y",
            epilogue: Epilogue::Nothing,
            bias: None,
            slide: None,
            rows: Rows::Pooled {
                kind: self.pool.kind,
                activation: self.forward.activation,
                dropout: self.pool.dropout,
            },
        });
    }
}

/// The weight gradient of a convolution with few channels, from the gradient of the pooling behind it: reads `x`, and `y`,
/// `m` and `dy` of the pooling; writes `dw` and `db`.
///
/// Where nothing learns before the convolution, only its weight gradient reads what the pooling passes back.
#[derive(Clone, Copy, Debug)]
pub struct PooledBackwardWeight {
    /// The backward pass of the pooling.
    pub pool: pool2d::Backward,
    /// The weight gradient.
    pub weight: BackwardWeight,
}

impl PooledBackwardWeight {
    /// The two passes as one, if there is a kernel for them.
    fn new(pool: pool2d::Backward, weight: BackwardWeight) -> Option<PooledBackwardWeight> {
        let apart = pool.window.kernel == [2, 2] && pool.window.stride == [2, 2];
        let fits = weight.geometry.is_direct() && weight.geometry.filters / 4 <= SHARING;
        (apart && pool.kind.is_extreme() && fits).then_some(PooledBackwardWeight { pool, weight })
    }

    /// Joins two passes at the start of `passes`, if they are these.
    pub(in crate::ops) fn join(_plan: &Plan, passes: &[Pass]) -> Option<(usize, Pass)> {
        let [pool, weight, ..] = passes else { return None };
        let op = PooledBackwardWeight::new(*pool.op()?, *weight.op()?)?;
        let [x, dy] = weight.inputs[..].try_into().ok()?;
        if pool.outputs != [dy] {
            return None;
        }
        let label = format!("{} + {}", pool.label, weight.label);
        let inputs = [&[x], pool.inputs.as_slice()].concat();
        Some((2, Pass { label, op: Box::new(op), inputs, outputs: weight.outputs.clone() }))
    }
}

impl Op for PooledBackwardWeight {
    fn name(&self) -> &'static str {
        "conv2d.backward_weight_pooled"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        let mut inputs = self.pool.inputs();
        inputs.insert(0, ("x", self.weight.geometry.window.input_len()));
        inputs
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        self.weight.outputs()
    }
    fn flops(&self) -> u64 {
        self.weight.flops()
    }
}

/// One after the other: what the kernel computes at once.
impl Compute for PooledBackwardWeight {
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>) {
        let step = tensors.step;
        let [x, y, dy] = ["x", "y", "dy"].map(|name| tensors.input(name));
        let m = tensors.input_int("m");
        let mut dz = vec![F::zero(); self.weight.geometry.output_len()];
        self.pool.compute(&mut Tensors {
            step,
            inputs: vec![("y", Slice::Real(y)), ("m", Slice::Int(m)), ("dy", Slice::Real(dy))],
            outputs: vec![("dx", Some(SliceMut::Real(&mut dz)))],
        });
        let (dw, db) = (tensors.output("dw"), tensors.output("db"));
        self.weight.compute(&mut Tensors {
            step,
            inputs: vec![("x", Slice::Real(x)), ("dy", Slice::Real(&dz))],
            outputs: vec![("dw", Some(SliceMut::Real(dw))), ("db", Some(SliceMut::Real(db)))],
        });
    }
}

/// The CPU runs the two passes, which the reference of this pass does as well.
impl Fast for PooledBackwardWeight {}

impl Record for PooledBackwardWeight {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        to.staged(|to| {
            self.weight.geometry.shared_sums(to, |launch| {
                launch
                    .with(wgsl!("conv2d/gradient_pooled.wgsl"))
                    .with(self.pool.producer.source())
                    .set("KEPT", self.pool.kept())
                    .reads_as("arrived", "dy")
                    .reads_as("pooled", "y")
                    .reads_as("chosen", "m")
            });
        });
        Ok(())
    }
}

impl Verify for PooledBackwardWeight {
    fn checks(&self) -> Vec<Check> {
        let g = &self.weight.geometry;
        let (whole, random) = (g.whole(), g.random());
        // The values that the pooling has chosen from, for any x.
        let case = |operands: &Operands, magnitude: bool| {
            let pool = self.pool.checked(&operands.dy, self.gradient(operands, magnitude));
            let mut given = operands.given(&["x"]);
            given.extend(pool);
            Case::new(*self, given)
        };
        let mut checks = Vec::new();
        if matches!(self.pool.producer, Activation::Identity | Activation::Relu) {
            checks.push(Check::exact("whole", case(&whole, false)));
        }
        // The magnitude of a sum; each term has the errors of f' besides, which are those of four further terms, and of
        // the product with KEPT.
        let magnitude = case(&Operands { x: random.absolute().x, ..random.clone() }, true).reference::<f64>();
        let terms = g.window.places() + 6;
        checks.push(Check::within("random", case(&random, false), |name, _| {
            let sums = magnitude.iter().find(|(known, _)| *known == name).map(|(_, sums)| sums.as_slice());
            dot_bound(terms, sums.unwrap_or_default())
        }));
        checks
    }
}

impl PooledBackwardWeight {
    /// A gradient of the pooling: its operands' `dy` cut to the right length, or the absolute values.
    fn gradient(&self, operands: &Operands, magnitude: bool) -> Vec<f32> {
        let len = self.pool.window.places() * self.pool.window.channels;
        operands.dy[..len].iter().map(|dy| if magnitude { dy.abs() } else { *dy }).collect()
    }

    /// The pass for a convolution, if there is a kernel for it.
    pub(crate) fn of(geometry: Geometry, (kind, producer, rate): Kinds) -> Option<PooledBackwardWeight> {
        let pool = PooledForward::of(geometry, (kind, producer, rate))?.pool;
        let pool = pool2d::Backward { window: pool.window, kind, producer, dropout: pool.dropout };
        PooledBackwardWeight::new(pool, BackwardWeight { geometry })
    }
}

/// Kind of pooling, activation, rate of dropout.
type Kinds = (pool2d::Kind, Activation, Option<f64>);

const KINDS: [Kinds; 4] = [
    (pool2d::Kind::Max, Activation::Relu, None),
    (pool2d::Kind::Min, Activation::Tanh, Some(0.4)),
    (pool2d::Kind::Max, Activation::Sigmoid, Some(0.25)),
    (pool2d::Kind::Max, Activation::Identity, None),
];

/// The pass for each convolution of `geometries` that a kernel exists for.
pub(super) fn edge_cases(geometries: impl Iterator<Item = Geometry>) -> Vec<Box<dyn Op>> {
    let of = |(i, geometry): (usize, Geometry)| PooledForward::of(geometry, KINDS[i % KINDS.len()]);
    let geometries = geometries.step_by(2);
    // Places that no window covers: a last row, a last column, and a last block with one window.
    // Then products with partial tiles in every direction.
    let whole = [
        (3, [28, 28, 1], [3, 3]),
        (2, [6, 9, 1], [3, 3]),
        (1, [4, 13, 2], [1, 2]),
        (2, [3, 5, 3], [2, 2]),
        (2, [13, 12, 8], [3, 3]),
        (5, [7, 16, 12], [2, 3]),
    ];
    let own = whole.into_iter().enumerate().flat_map(|(i, (batch, shape, kernel))| {
        let window = Window2d::new(batch, shape, kernel, [1, 1], Padding::Valid).ok()?;
        let kinds = [KINDS[i % KINDS.len()], KINDS[(i + 2) % KINDS.len()]];
        Some(kinds.map(|kinds| PooledForward::of(Geometry { window, filters: 4 * shape[0].min(9) }, kinds)))
    });
    let all: Vec<PooledForward> = own.flatten().chain(geometries.enumerate().map(of)).flatten().collect();
    let backward = all.iter().filter_map(|op| {
        let kinds = (op.pool.kind, op.forward.activation, op.pool.dropout.map(|mask| mask.rate));
        Some(Box::new(PooledBackwardWeight::of(op.forward.geometry, kinds)?) as Box<dyn Op>)
    });
    let backward: Vec<_> = backward.collect();
    all.into_iter().map(|op| Box::new(op) as Box<dyn Op>).chain(backward).collect()
}

/// The passes for a convolution at a random shape, if there are kernels for them.
pub(super) fn drawn(geometry: Geometry, draw: &mut Draw) -> Vec<Box<dyn Op>> {
    let kinds = draw.one_of(&KINDS);
    let forward = PooledForward::of(geometry, kinds).map(|op| Box::new(op) as Box<dyn Op>);
    let backward = PooledBackwardWeight::of(geometry, kinds).map(|op| Box::new(op) as Box<dyn Op>);
    forward.into_iter().chain(backward).collect()
}

impl PooledForward {
    /// The pass for a convolution, if there is a kernel for it.
    pub(crate) fn of(geometry: Geometry, (kind, activation, rate): Kinds) -> Option<PooledForward> {
        let places = geometry.window;
        let image = [places.out_height, places.out_width, geometry.filters];
        let window = Window2d::new(places.batch, image, [2, 2], [2, 2], Padding::Valid).ok()?;
        let width = window.out_height * window.out_width * window.channels;
        let dropout = rate.map(|rate| Mask { rate, layer: 2, width });
        let forward = Forward { geometry, activation, dropout: None };
        PooledForward::new(forward, pool2d::Forward { window, kind, keeps_m: true, dropout })
    }

    fn case(&self, operands: &Operands) -> Case {
        let mut given = operands.given(&["x", "w", "b"]);
        given.push(("m", Values::Int(vec![0xaaaa_aaaa; pool2d::m_len(&self.pool.window)])));
        let case = Case::new(*self, given);
        let step = Step { row: 8, ..case.step };
        case.with_step(step)
    }
}

impl Verify for PooledForward {
    fn checks(&self) -> Vec<Check> {
        let g = &self.forward.geometry;
        let (whole, random) = (g.whole(), g.random());
        let mut checks = Vec::new();
        if matches!(self.forward.activation, Activation::Identity | Activation::Relu) {
            // Small integers, which give many ties.
            checks.push(Check::exact("whole", self.case(&whole)));
        }
        // The error of the four values of each window, of which the result is one.
        let linear = Forward { activation: Activation::Identity, ..self.forward };
        let values = |op: Forward, operands: &Operands| {
            Case::new(op, operands.given(&["x", "w", "b"])).reference::<f64>().remove(0).1
        };
        let own = activation_error(self.forward.activation);
        let errors = dot_bound(g.terms() + 1, &values(linear, &random.absolute()));
        let z = values(self.forward, &random);
        let windows: Vec<[usize; 4]> = self.windows().collect();
        let error = |window: &[usize; 4]| window.iter().map(|at| errors[*at] + own).fold(0.0, f64::max);
        let scale = self.pool.dropout.map_or(1.0, |mask| f64::from(mask.scale()));
        let rounded = if self.pool.dropout.is_some() { U } else { 0.0 };
        let y = |window: &[usize; 4]| {
            let largest = window.iter().map(|at| z[*at].abs()).fold(0.0, f64::max);
            scale * (error(window) + rounded * largest)
        };
        let y: Vec<f64> = windows.iter().map(y).collect();
        // The position is certain if no other value of the window comes near the extreme.
        let sign = if self.pool.kind == pool2d::Kind::Min { -1.0 } else { 1.0 };
        let certain = |window: &[usize; 4]| {
            let best = window.iter().map(|at| sign * z[*at]).fold(f64::NEG_INFINITY, f64::max);
            window.iter().filter(|at| sign * z[**at] >= best - 2.0 * error(window)).count() == 1
        };
        let certain: Vec<bool> = windows.iter().map(certain).collect();
        let m =
            certain.chunks(4).map(|word| if word.iter().all(|certain| *certain) { 0.0 } else { f64::from(u32::MAX) });
        let m: Vec<f64> = m.collect();
        checks.push(Check::within(
            "random",
            self.case(&random),
            |name, _| if name == "m" { m.clone() } else { y.clone() },
        ));
        checks
    }
}

impl PooledForward {
    /// For each element of `y`, the indices in the output of the convolution of the values of its window.
    fn windows(&self) -> impl Iterator<Item = [usize; 4]> + use<> {
        let window = self.pool.window;
        let [height, width, channels] = [window.height, window.width, window.channels];
        (0..window.places() * channels).map(move |i| {
            let (c, q) = (i % channels, i / channels % window.out_width);
            let p = i / (channels * window.out_width) % window.out_height;
            let n = i / (channels * window.out_width * window.out_height);
            let at = |u: usize, v: usize| ((n * height + 2 * p + u) * width + 2 * q + v) * channels + c;
            [at(0, 0), at(0, 1), at(1, 0), at(1, 1)]
        })
    }
}
