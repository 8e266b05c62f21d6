use crate::common::{Case, U, agrees};
use shadegrad::ops::Step;
use shadegrad::ops::batch_norm::{Geometry, Statistics};

/// The reference rounds once, however long its sums are: added one by one in f32, 40,000 numbers near 0.1 would be off
/// by some 10,000 roundings.
#[test]
fn the_reference_is_exact_in_long_sums() {
    let geometry = Geometry { batch: 4, places: 10_000, channels: 1 };
    let given = [("x", geometry.elements()), ("running_mean", 1), ("running_var", 1)]
        .map(|(name, len)| (name, (0..len).map(|i| 0.1 + (i % 7) as f32 * 1e-3).collect::<Vec<f32>>().into()));
    let case = Case::new(Statistics { geometry, momentum: 0.1 }, given.to_vec());
    let case = case.with_step(Step { count: 4, ..Step::default() });
    for ((name, rounded), (_, exact)) in case.reference::<f32>().into_iter().zip(case.reference::<f64>()) {
        let (rounded, exact) = (rounded[0], exact[0]);
        assert!((rounded - exact).abs() <= U / 2.0 * exact.abs(), "{name}: {rounded}, and exactly {exact}");
    }
}

#[test]
fn statistics_agree_with_the_reference() {
    agrees("batch_norm.statistics");
}

#[test]
fn forward_agrees_with_the_reference() {
    agrees("batch_norm.forward");
}

#[test]
fn backward_weight_agrees_with_the_reference() {
    agrees("batch_norm.backward_weight");
}

#[test]
fn backward_input_agrees_with_the_reference() {
    agrees("batch_norm.backward_input");
}

#[test]
fn running_statistics_agree_with_the_reference() {
    agrees("batch_norm.running");
}
