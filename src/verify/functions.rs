//! Accuracy of the driver's built-in functions, measured over their ranges: `exp`, `log`, `tanh`, `sqrt` and division.
//!
//! Kernels call them, and the bounds of the cases allow them the errors that WGSL allows. Here each is called alone,
//! with many arguments across its range, and compared with f64. Errors are given in ULP, the spacing of f32 at the
//! exact value, and relative to what is allowed.

use super::bounds::{TINY, U};
use crate::error::{Error, Result};
use crate::gpu::{
    Dispatch, Gpu, KernelSpec, MAX_GROUPS, Memory, Operand, Program, Recording, ShaderFile, Variant, Work, fold,
};
use crate::ops::Step;
use crate::plan::{Element, Plan, TensorId};
use crate::wgsl;
use serde::Serialize;

/// A built-in function and the arguments that it is tested with.
pub struct Function {
    /// Name of the function in WGSL.
    pub name: &'static str,
    /// Range of the arguments.
    pub range: &'static str,
    /// The error allowed, in words.
    pub grant: &'static str,
    source: &'static ShaderFile,
    /// Makes the arguments from two numbers in [0, 1).
    arguments: fn(f64, f64) -> [f32; 2],
    exact: fn(f64, f64) -> f64,
    /// The largest error that WGSL allows, from the first argument and the exact value.
    granted: fn(f64, f64) -> f64,
}

/// The result of testing a function.
#[derive(Clone, Debug, Serialize)]
pub struct Sweep {
    /// Name of the function.
    pub function: &'static str,
    /// Range of the arguments.
    pub range: &'static str,
    /// The error allowed, in words.
    pub grant: &'static str,
    /// Number of argument pairs.
    pub inputs: usize,
    /// The largest error in ULP.
    pub worst_ulp: f64,
    /// Arguments with the largest error.
    pub at: [f32; 2],
    /// The largest error relative to the error allowed.
    pub worst: f64,
    /// The first result that is not a number or exceeds the error allowed.
    pub finding: Option<String>,
}

/// A number from 2^`from` to 2^(`from` + `octaves`), uniform in its exponent.
fn spread(share: f64, from: f64, octaves: f64) -> f32 {
    (from + share * octaves).exp2() as f32
}

/// All functions. Beyond these ranges results overflow, or are below the smallest normal number, where drivers may give
/// 0.
pub fn functions() -> [Function; 5] {
    [
        Function {
            name: "exp",
            range: "-87 to 88",
            grant: "3 + 2 |x| ULP",
            source: wgsl!("verify/exp.wgsl"),
            arguments: |u, _| [(-87.0 + 175.0 * u) as f32, 0.0],
            exact: |a, _| a.exp(),
            granted: |a, exact| (3.0 + 2.0 * a.abs()) * ulp(exact),
        },
        Function {
            name: "log",
            range: "2^-126 to 2^127",
            grant: "2^-21 from 0.5 to 2, else 3 ULP",
            source: wgsl!("verify/log.wgsl"),
            // Half of the arguments are between 0.5 and 2, where the result is near 0.
            arguments: |u, v| [if v < 0.5 { spread(u, -126.0, 253.0) } else { spread(u, -1.0, 2.0) }, 0.0],
            exact: |a, _| a.ln(),
            granted: |a, exact| if (0.5..=2.0).contains(&a) { 4.0 * U } else { 3.0 * ulp(exact) },
        },
        Function {
            name: "tanh",
            range: "-15 to 15",
            grant: "40 ULP of 1, as the layers assume",
            source: wgsl!("verify/tanh.wgsl"),
            arguments: |u, v| [if v < 0.5 { -15.0 + 30.0 * u } else { 2.0 * u - 1.0 } as f32, 0.0],
            exact: |a, _| a.tanh(),
            granted: |_, _| 40.0 * U,
        },
        Function {
            name: "sqrt",
            range: "2^-126 to 2^127",
            grant: "4.5 ULP",
            source: wgsl!("verify/sqrt.wgsl"),
            arguments: |u, _| [spread(u, -126.0, 253.0), 0.0],
            exact: |a, _| a.sqrt(),
            granted: |_, exact| 4.5 * ulp(exact),
        },
        Function {
            name: "division",
            range: "2^-60 to 2^60, both",
            grant: "2.5 ULP",
            source: wgsl!("verify/divide.wgsl"),
            arguments: |u, v| [spread(u, -60.0, 120.0), -spread(v, -60.0, 120.0)],
            exact: |a, b| a / b,
            granted: |_, exact| 2.5 * ulp(exact),
        },
    ]
}

/// The spacing of f32 at a value.
pub(crate) fn ulp(value: f64) -> f64 {
    (value.abs().max(TINY).log2().floor() - 23.0).exp2()
}

/// The closest `f32` values at or below a value and at or above it. The error allowed counts from either: a result has
/// to be rounded, and the WebGPU conformance tests round the exact value before they add an error to it.
fn neighbours(exact: f64) -> [f64; 2] {
    let nearest = exact as f32;
    let [below, above] = match f64::from(nearest).total_cmp(&exact) {
        std::cmp::Ordering::Less => [nearest, nearest.next_up()],
        std::cmp::Ordering::Equal => [nearest, nearest],
        std::cmp::Ordering::Greater => [nearest.next_down(), nearest],
    };
    [f64::from(below), f64::from(above)]
}

impl Function {
    /// An exponential computed with too few terms, to see whether the test detects it.
    pub(super) fn coarse() -> Function {
        let [exp, ..] = functions();
        Function { source: wgsl!("verify/exp_coarse.wgsl"), ..exp }
    }

    /// `count` arguments, a multiple of 4, the same in every run.
    fn inputs(&self, count: usize) -> [Vec<f32>; 2] {
        // Weyl sequences: each fills [0, 1) evenly, and together they fill the unit square.
        let share = |i: usize, step: f64| (i as f64 * step).fract();
        let pairs =
            (0..count).map(|i| (self.arguments)(share(i, 0.754_877_666_246_692_8), share(i, 0.569_840_290_998)));
        let (a, b) = pairs.map(|[a, b]| (a, b)).unzip();
        [a, b]
    }

    /// The dispatch that computes the function for `count` pairs in `a b -> y`, with the plan of their tensors.
    pub fn recording(&self, count: usize) -> (Plan, [TensorId; 3], Recording) {
        const WORKGROUP: usize = 64;
        let mut plan = Plan::default();
        let tensors @ [a, b, y] = ["a", "b", "y"].map(|name| plan.tensor(name, &[count], Element::Real));
        let operand = |name, id: TensorId| (name, Operand::Buffer(plan.get(id).region));
        let groups = fold((count / 4).div_ceil(WORKGROUP), MAX_GROUPS);
        let kernel = KernelSpec::new([wgsl!("verify/sweep.wgsl"), self.source, wgsl!("shared/linear.wgsl")]);
        let mut recording = Recording::new();
        recording.dispatch(Dispatch {
            label: format!("verify.{}", self.name),
            kernel: kernel.set("COUNT", count / 4).set("GROUPS_X", groups[0]),
            reads: vec![operand("a", a), operand("b", b)],
            writes: vec![operand("y", y)],
            groups,
            cost: Work::default(),
            variant: Variant::default(),
        });
        (plan, tensors, recording)
    }

    /// The result of a test that the device could not complete.
    pub(super) fn failed(&self, error: &Error) -> Sweep {
        let Function { name: function, range, grant, .. } = *self;
        let (worst, finding) = (f64::INFINITY, Some(format!("{function}: {error}")));
        Sweep { function, range, grant, inputs: 0, worst_ulp: worst, at: [f32::NAN; 2], worst, finding }
    }

    /// Computes `count` results, a multiple of 4, on the device and compares them with the exact ones.
    pub(crate) async fn sweep(&self, gpu: &Gpu, count: usize) -> Result<Sweep> {
        let [a, b] = self.inputs(count);
        let (plan, tensors, recording) = self.recording(count);
        let storages: Vec<_> = plan.storages.iter().map(|storage| (storage.name.clone(), storage.len)).collect();
        let memory = Memory::new(gpu, &storages, &[&recording], size_of::<Step>())?;
        let program = Program::new(gpu, &memory, &recording)?;
        let [to_a, to_b, from] = tensors.map(|id| plan.get(id).region);
        memory.write(gpu, to_a, bytemuck::cast_slice(&a));
        memory.write(gpu, to_b, bytemuck::cast_slice(&b));
        memory.write(gpu, from, bytemuck::cast_slice(&vec![f32::NAN; count]));
        program.submit(gpu, &memory, &[Step::default()])?;
        let y: Vec<f32> = bytemuck::pod_collect_to_vec(&memory.read(gpu, from).await?);
        Ok(self.judge(&a, &b, &y))
    }

    /// Compares results with the exact values.
    pub fn judge(&self, a: &[f32], b: &[f32], y: &[f32]) -> Sweep {
        let Function { name: function, range, grant, .. } = *self;
        let (inputs, at) = (y.len(), [0.0; 2]);
        let mut sweep = Sweep { function, range, grant, inputs, worst_ulp: 0.0, at, worst: 0.0, finding: None };
        for ((a, b), y) in a.iter().zip(b).zip(y) {
            let exact = (self.exact)(f64::from(*a), f64::from(*b));
            let in_ulp = (f64::from(*y) - exact).abs() / ulp(exact);
            let [below, above] = neighbours(exact);
            let error = (f64::from(*y) - f64::from(*y).clamp(below, above)).abs();
            let share = error / (self.granted)(f64::from(*a), exact);
            let within = share <= 1.0;
            if !within && sweep.finding.is_none() {
                let of = if function == "division" { format!("{a:?} / {b:?}") } else { format!("{function}({a:?})") };
                sweep.finding = Some(format!("{of} is {y:?}, {in_ulp:.1} ULP from {exact:e}; allowed: {grant}"));
            }
            // Written so that NaN counts as the worst.
            if !(in_ulp <= sweep.worst_ulp || sweep.worst_ulp.is_nan()) {
                (sweep.worst_ulp, sweep.at) = (in_ulp, [*a, *b]);
            }
            sweep.worst = if share.is_nan() { f64::INFINITY } else { sweep.worst.max(share) };
        }
        sweep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ulp_is_the_spacing_of_f32() {
        for value in [1.0f32, 1.5, 2.0, 3.0, 1e-10, 1e30, -0.7] {
            let next = f32::from_bits(value.abs().to_bits() + 1) - value.abs();
            assert_eq!(ulp(f64::from(value)), f64::from(next), "{value}");
        }
    }

    /// `log` may be off by 3 ULP from the rounded value and no more.
    #[test]
    fn what_is_granted_counts_from_the_rounded_value() {
        let log = &functions()[1];
        let a = 10.0f32;
        let exact = f64::from(a).ln();
        let [below, above] = neighbours(exact);
        assert!(below < exact && exact < above && above - below == ulp(exact));
        for (y, passes) in [(above + 3.0 * ulp(exact), true), (above + 4.0 * ulp(exact), false)] {
            let sweep = log.judge(&[a], &[0.0], &[y as f32]);
            assert!(sweep.finding.is_none() == passes && sweep.worst_ulp > 3.0, "{sweep:?}");
        }
        assert_eq!(neighbours(1.5), [1.5, 1.5]);
        let next = f64::from(1.0f32.next_up());
        assert_eq!(neighbours(1.0 + 1e-12), [1.0, next]);
        assert_eq!(neighbours(next - 1e-12), [1.0, next]);
    }

    #[test]
    fn rounded_results_pass_and_others_do_not() {
        for function in functions() {
            let [a, b] = function.inputs(1000);
            let exact = |(a, b): (&f32, &f32)| (function.exact)(f64::from(*a), f64::from(*b)) as f32;
            let right: Vec<f32> = a.iter().zip(&b).map(exact).collect();
            let sweep = function.judge(&a, &b, &right);
            assert!(sweep.finding.is_none() && sweep.worst_ulp <= 0.5 + 1e-6, "{sweep:?}");
            for wrong in [f32::NAN, f32::INFINITY, 1.0 + right[500]] {
                let mut y = right.clone();
                y[500] = wrong;
                let sweep = function.judge(&a, &b, &y);
                assert!(sweep.finding.is_some(), "{wrong} for {} passes", right[500]);
                assert!(sweep.worst > 1.0, "{sweep:?}");
            }
        }
    }
}
