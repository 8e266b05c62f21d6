use crate::common::agrees;
use shadegrad::gpu::Recording;
use shadegrad::ops::pool2d::{Backward, Forward, Kind};
use shadegrad::ops::{self, Activation, KernelConfig, KernelForm, Op};
use shadegrad::plan::{Element, Plan};
use shadegrad::shape::{Padding, Window2d};

fn window(batch: usize, shape: [usize; 3], kernel: [usize; 2], stride: [usize; 2]) -> Window2d {
    Window2d::new(batch, shape, kernel, stride, Padding::Valid).unwrap()
}

#[test]
fn forward_agrees_with_the_reference() {
    agrees("pool2d.forward");
}

#[test]
fn backward_agrees_with_the_reference() {
    agrees("pool2d.backward");
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
    let forward = |kind| Forward { window: overlapping, kind, keeps_m: false, dropout: None };
    let of = |kind| forward(kind).case(x.clone()).reference::<f64>().remove(0).1;
    assert_eq!(of(Kind::Max), [4.0, 4.0, 4.0, 4.0]);
    assert_eq!(of(Kind::Min), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(of(Kind::Average), [2.25, 2.0, 2.5, 2.25]);
    let norms: Vec<f64> = of(Kind::L2).iter().map(|y| (y * y).round()).collect();
    assert_eq!(norms, [25.0, 24.0, 36.0, 29.0]);

    let backward = |window, kind, producer, x: &Vec<f32>, dy: &[f32]| {
        Backward { window, kind, producer, dropout: None }.case(x.clone(), dy.to_vec()).reference::<f64>().remove(0).1
    };
    let dx = |kind| backward(overlapping, kind, Activation::Identity, &x, &[1.0, 10.0, 100.0, 1000.0]);
    // The third window has its 4 twice: the upper one gets the whole gradient. The fourth has it in the middle row.
    assert_eq!(dx(Kind::Max), [0.0, 0.0, 0.0, 101.0, 0.0, 1010.0, 0.0, 0.0, 0.0]);
    assert_eq!(dx(Kind::Min), [1.0, 0.0, 10.0, 0.0, 0.0, 0.0, 0.0, 1100.0, 0.0]);
    let quarters: Vec<f64> = dx(Kind::Average).iter().map(|d| 4.0 * d).collect();
    assert_eq!(quarters, [1.0, 11.0, 10.0, 101.0, 1111.0, 1010.0, 100.0, 1100.0, 1000.0]);

    // One window; the rest of the image is not covered. x / y = (3, 4, 0, 0) / 5.
    let apart = window(1, [3, 3, 1], [2, 2], [2, 2]);
    let x = vec![3.0, 4.0, 9.0, 0.0, 0.0, 9.0, 9.0, 9.0, 9.0];
    let norm = backward(apart, Kind::L2, Activation::Identity, &x, &[10.0]);
    assert_eq!(norm, [6.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let through_tanh = backward(apart, Kind::Average, Activation::Tanh, &x, &[4.0]);
    assert_eq!(through_tanh, [-8.0, -15.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

fn recorded(op: impl Op + 'static, form: KernelForm) -> shadegrad::Result<&'static str> {
    let mut plan = Plan::default();
    let mut tensors = |operands: Vec<(&'static str, usize)>| -> Vec<_> {
        operands.into_iter().map(|(name, len)| plan.tensor(name, &[len], Element::Real)).collect()
    };
    let (inputs, outputs) = (tensors(op.inputs()), tensors(op.outputs()));
    let pass = plan.pass("pool", op, &inputs, &outputs);
    let mut recording = Recording::new();
    ops::record(&plan, &pass, &KernelConfig { form, ..KernelConfig::software() }, &mut recording)?;
    Ok(recording.dispatches().next().unwrap().kernel.name())
}

#[test]
fn the_fast_kernels_are_used_where_they_apply() {
    let kernels = |shape, stride, form| {
        let window = window(2, shape, [2, 2], stride);
        let kind = Kind::Max;
        let forward = recorded(Forward { window, kind, keeps_m: true, dropout: None }, form).unwrap();
        let backward = recorded(Backward { window, kind, producer: Activation::Relu, dropout: None }, form).unwrap();
        [forward, backward]
    };
    let fast = ["pool2d/forward_extreme", "pool2d/backward_extreme"];
    let naive = ["pool2d/forward_extreme_naive", "pool2d/backward_extreme_naive"];
    assert_eq!(kernels([6, 6, 8], [2, 2], KernelForm::Register), fast);
    assert_eq!(kernels([6, 6, 8], [2, 2], KernelForm::Naive), naive);
    assert_eq!(kernels([6, 6, 6], [2, 2], KernelForm::Register), naive);
    assert_eq!(kernels([6, 6, 8], [2, 1], KernelForm::Register), [fast[0], naive[1]]);
}

#[test]
fn windows_that_a_driver_would_leave_unfinished_are_refused() {
    let forward = |kernel| {
        let window = window(1, [256, 256, 1], kernel, [1, 1]);
        recorded(Forward { window, kind: Kind::Max, keeps_m: false, dropout: None }, KernelForm::Register)
    };
    forward([255, 255]).unwrap();
    let message = forward([256, 256]).unwrap_err().to_string();
    assert!(message.contains("256x256 window with stride 1x1"), "{message}");
}
