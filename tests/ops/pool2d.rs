use crate::common::{Case, Given, U, dot_bound, integers, random};
use shadegrad::gpu::Recording;
use shadegrad::ops::pool2d::{Backward, Forward, Kind, m_len};
use shadegrad::ops::{self, Activation, Form, Op, Settings};
use shadegrad::plan::{Element, Plan};
use shadegrad::shape::{Padding, Window2d};

const KINDS: [Kind; 4] = [Kind::Max, Kind::Min, Kind::Average, Kind::L2];

const PRODUCERS: [Activation; 4] = [Activation::Identity, Activation::Relu, Activation::Sigmoid, Activation::Tanh];

fn window(batch: usize, shape: [usize; 3], kernel: [usize; 2], stride: [usize; 2]) -> Window2d {
    Window2d::new(batch, shape, kernel, stride, Padding::Valid).unwrap()
}

/// Apart and overlapping, covering and not, with rows and columns left over; C for the scalar and the vec4 kernels.
fn windows() -> Vec<Window2d> {
    vec![
        window(1, [1, 1, 1], [1, 1], [1, 1]),
        window(1, [1, 1, 4], [1, 1], [1, 1]),
        window(3, [7, 5, 3], [2, 2], [2, 2]),
        window(3, [7, 5, 4], [2, 2], [2, 2]),
        window(2, [6, 8, 8], [2, 2], [2, 2]),
        window(2, [7, 7, 5], [3, 3], [1, 1]),
        window(2, [7, 8, 4], [3, 3], [2, 2]),
        window(2, [11, 7, 8], [3, 3], [3, 3]),
        window(1, [5, 7, 4], [2, 3], [2, 3]),
        window(1, [5, 7, 4], [2, 3], [1, 2]),
        window(2, [8, 7, 4], [2, 2], [3, 3]),
        window(2, [8, 7, 3], [2, 2], [3, 3]),
        window(1, [5, 9, 4], [1, 1], [2, 4]),
        window(1, [7, 5, 4], [1, 2], [3, 2]),
        window(3, [5, 3, 4], [5, 3], [5, 3]),
        window(2, [4, 6, 8], [4, 6], [1, 1]),
        // 256 and 257 places in a window: the most that a byte can number, and one more.
        window(1, [16, 18, 4], [16, 16], [16, 1]),
        window(2, [1, 257, 3], [1, 257], [1, 1]),
        window(2, [1, 257, 4], [1, 257], [1, 257]),
        // 63, 64 and 65 places of four channels: around the workgroup of 64.
        window(1, [18, 14, 4], [2, 2], [2, 2]),
        window(1, [16, 16, 4], [2, 2], [2, 2]),
        window(1, [10, 26, 4], [2, 2], [2, 2]),
        // and of one.
        window(1, [9, 7, 1], [1, 1], [1, 1]),
        window(1, [8, 8, 1], [1, 1], [1, 1]),
        window(1, [5, 13, 1], [1, 1], [1, 1]),
    ]
}

fn forward(window: Window2d, kind: Kind, x: Vec<f32>) -> Case {
    Case::new(Forward { window, kind, keeps_m: false }, vec![("x", x.into())])
}

/// With m as a second output.
fn forward_extreme(window: Window2d, kind: Kind, x: Vec<f32>) -> Case {
    let poison = vec![0xaaaa_aaaa; m_len(&window)];
    Case::new(Forward { window, kind, keeps_m: true }, vec![("x", x.into()), ("m", poison.into())])
}

/// With the y and the m that belong to x.
fn backward(window: Window2d, kind: Kind, producer: Activation, x: Vec<f32>, dy: Vec<f32>) -> Case {
    let y = forward(window, kind, x.clone()).expected_f32().remove(0).1;
    let mut given: Vec<Given> = vec![("y", y.into()), ("dy", dy.into())];
    if kind.is_extreme() {
        let m = forward_extreme(window, kind, x.clone()).expected().remove(1).1;
        given.push(("m", m.into_iter().map(|word| word as u32).collect::<Vec<_>>().into()));
    }
    given.push(("x", x.into()));
    Case::new(Backward { window, kind, producer }, given)
}

fn output_len(window: &Window2d) -> usize {
    window.places() * window.channels
}

fn absolute(values: &[f32]) -> Vec<f32> {
    values.iter().map(|v| v.abs()).collect()
}

/// What `producer` might have made, away from the ends of sigmoid and tanh, where 1 - y and 1 - y^2 cancel.
fn produced(producer: Activation, len: usize) -> Vec<f32> {
    let values = random(len, 5).into_iter();
    match producer {
        Activation::Identity => values.collect(),
        Activation::Relu => values.map(|v| v.max(0.0)).collect(),
        Activation::Sigmoid => values.map(|v| 0.5 + 0.4 * v).collect(),
        Activation::Tanh => values.map(|v| 0.7 * v).collect(),
    }
}

#[test]
fn forward_agrees_with_the_reference() {
    for window in windows() {
        let x = random(window.input_len(), 1);
        for kind in KINDS {
            let case = forward(window, kind, x.clone());
            match kind {
                Kind::Max | Kind::Min => {
                    case.check(|_, y| vec![0.0; y.len()]);
                    forward_extreme(window, kind, x.clone()).check(|_, values| vec![0.0; values.len()]);
                }
                // The sum is rounded as a dot product's, the factor once and its product once.
                Kind::Average => {
                    let magnitude = forward(window, kind, absolute(&x)).expected().remove(0).1;
                    case.check(|_, _| dot_bound(window.area() + 2, &magnitude));
                }
                // A square and each addition round by u/2 of a sum of positive terms, and the root halves that; WGSL
                // gives it the error of 1 / inverseSqrt, 2.5 + 2 ULP. Squares of multiples of 2^-23 do not underflow.
                Kind::L2 => case.check(|_, y| y.iter().map(|y| (window.area() as f64 / 2.0 + 5.0) * U * y).collect()),
            }
        }
    }
}

#[test]
fn backward_agrees_with_the_reference() {
    for (i, window) in windows().into_iter().enumerate() {
        for (j, kind) in KINDS.into_iter().enumerate() {
            let producer = PRODUCERS[(i + j) % 4];
            let x = produced(producer, window.input_len());
            let dy = random(output_len(&window), 2);
            // The sum of absolute terms. |x| would change which place is extreme; elsewhere f' is the same for it.
            let x_absolute = if matches!(kind, Kind::Max | Kind::Min) { x.clone() } else { absolute(&x) };
            let magnitude = backward(window, kind, producer, x_absolute, absolute(&dy)).expected().remove(0).1;
            // One term for each window around a place, of a quotient (2.5 u) and a product; then f' with up to four
            // roundings, one of them as large again where 1 - y^2 is half of y^2.
            let around = window.kernel[0].div_ceil(window.stride[0]) * window.kernel[1].div_ceil(window.stride[1]);
            backward(window, kind, producer, x, dy).check(|_, _| dot_bound(around + 7, &magnitude));
        }
    }
}

/// Small integers have many ties, and sums and quotients by 1, 4 or 16 that are exact.
#[test]
fn integers_agree_exactly() {
    for (i, window) in windows().into_iter().enumerate() {
        let x = integers(window.input_len(), 2, 3);
        let dy = integers(output_len(&window), 8, 4);
        for kind in [Kind::Max, Kind::Min, Kind::Average] {
            if kind == Kind::Average && !window.area().is_power_of_two() {
                continue;
            }
            forward(window, kind, x.clone()).check_exact();
            if kind.is_extreme() {
                forward_extreme(window, kind, x.clone()).check(|_, values| vec![0.0; values.len()]);
            }
            let (producer, x) = if i % 2 == 0 {
                (Activation::Identity, x.clone())
            } else {
                (Activation::Relu, x.iter().map(|v| v.max(0.0)).collect())
            };
            backward(window, kind, producer, x, dy.clone()).check_exact();
        }
    }
}

/// A 3x3 image: windows of 2x2, side by side and overlapping, computed by hand.
#[test]
fn the_reference_agrees_with_hand_computed_cases() {
    #[rustfmt::skip]
    let x = vec![
        1.0, 2.0, 0.0,
        4.0, 2.0, 4.0,
        4.0, 0.0, 3.0,
    ];
    let overlapping = window(1, [3, 3, 1], [2, 2], [1, 1]);
    let of = |kind| forward(overlapping, kind, x.clone()).expected().remove(0).1;
    assert_eq!(of(Kind::Max), [4.0, 4.0, 4.0, 4.0]);
    assert_eq!(of(Kind::Min), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(of(Kind::Average), [2.25, 2.0, 2.5, 2.25]);
    let norms: Vec<f64> = of(Kind::L2).iter().map(|y| (y * y).round()).collect();
    assert_eq!(norms, [25.0, 24.0, 36.0, 29.0]);

    let dx = |kind| backward(overlapping, kind, Activation::Identity, x.clone(), vec![1.0, 10.0, 100.0, 1000.0]);
    let dx = |kind| dx(kind).expected().remove(0).1;
    // The third window has its 4 twice: the upper one takes all. The fourth has it in the middle row.
    assert_eq!(dx(Kind::Max), [0.0, 0.0, 0.0, 101.0, 0.0, 1010.0, 0.0, 0.0, 0.0]);
    assert_eq!(dx(Kind::Min), [1.0, 0.0, 10.0, 0.0, 0.0, 0.0, 0.0, 1100.0, 0.0]);
    let quarters: Vec<f64> = dx(Kind::Average).iter().map(|d| 4.0 * d).collect();
    assert_eq!(quarters, [1.0, 11.0, 10.0, 101.0, 1111.0, 1010.0, 100.0, 1100.0, 1000.0]);

    // One window, the rest of the image is in none. x / y = (3, 4, 0, 0) / 5.
    let apart = window(1, [3, 3, 1], [2, 2], [2, 2]);
    let x = vec![3.0, 4.0, 9.0, 0.0, 0.0, 9.0, 9.0, 9.0, 9.0];
    let norm = backward(apart, Kind::L2, Activation::Identity, x.clone(), vec![10.0]);
    assert_eq!(norm.expected()[0].1, [6.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let through_tanh = backward(apart, Kind::Average, Activation::Tanh, x, vec![4.0]);
    assert_eq!(through_tanh.expected()[0].1, [-8.0, -15.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

/// The gradient of the norm of nothing is taken as 0, not as 0 / 0.
#[test]
fn l2_of_zeros_has_no_gradient() {
    for window in [window(1, [4, 4, 4], [2, 2], [2, 2]), window(1, [4, 4, 3], [2, 2], [1, 1])] {
        let x = vec![0.0; window.input_len()];
        let case = backward(window, Kind::L2, Activation::Identity, x, random(output_len(&window), 6));
        assert!(case.expected()[0].1.iter().all(|d| *d == 0.0));
        case.check_exact();
    }
}

fn recorded(op: impl Op + 'static, form: Form) -> shadegrad::Result<&'static str> {
    let mut plan = Plan::default();
    let mut tensors = |operands: Vec<(&'static str, usize)>| -> Vec<_> {
        operands.into_iter().map(|(name, len)| plan.tensor(name, &[len], Element::Real)).collect()
    };
    let (inputs, outputs) = (tensors(op.inputs()), tensors(op.outputs()));
    let pass = plan.pass("pool", op, &inputs, &outputs);
    let mut recording = Recording::new();
    ops::record(&plan, &pass, &Settings { form, ..Settings::software() }, &mut recording)?;
    Ok(recording.dispatches().next().unwrap().kernel.name())
}

#[test]
fn the_fast_kernels_are_taken_where_they_apply() {
    let kernels = |shape, stride, form| {
        let window = window(2, shape, [2, 2], stride);
        let kind = Kind::Max;
        let forward = recorded(Forward { window, kind, keeps_m: true }, form).unwrap();
        let backward = recorded(Backward { window, kind, producer: Activation::Relu }, form).unwrap();
        [forward, backward]
    };
    let fast = ["pool2d/forward_extreme", "pool2d/backward_extreme"];
    let naive = ["pool2d/forward_extreme_naive", "pool2d/backward_extreme_naive"];
    assert_eq!(kernels([6, 6, 8], [2, 2], Form::Register), fast);
    assert_eq!(kernels([6, 6, 8], [2, 2], Form::Naive), naive);
    assert_eq!(kernels([6, 6, 6], [2, 2], Form::Register), naive);
    assert_eq!(kernels([6, 6, 8], [2, 1], Form::Register), [fast[0], naive[1]]);
}

#[test]
fn windows_that_a_driver_would_leave_unfinished_are_refused() {
    let forward = |kernel| {
        let window = window(1, [256, 256, 1], kernel, [1, 1]);
        recorded(Forward { window, kind: Kind::Max, keeps_m: false }, Form::Register)
    };
    forward([255, 255]).unwrap();
    let message = forward([256, 256]).unwrap_err().to_string();
    assert!(message.contains("256x256 window with stride 1x1"), "{message}");
}
