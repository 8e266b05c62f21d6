use crate::common::{Asserts, agrees};
use shadegrad::ops::adam::{Operands, Update, corrections};

fn update(beta1: f32, beta2: f32, epsilon: f32, weight_decay: f32, decoupled: bool, len: usize) -> Update {
    Update { len, beta1, beta2, epsilon, weight_decay, decoupled, clipped: false }
}

fn operands(gradient: &[f32], weights: &[f32], first_moment: &[f32], second_moment: &[f32]) -> Operands {
    let [gradient, weights, first_moment, second_moment] =
        [gradient, weights, first_moment, second_moment].map(<[f32]>::to_vec);
    Operands { gradient, weights, first_moment, second_moment }
}

#[test]
fn reference_by_hand() {
    // Corrections 1 / (1 - 3/4) at t = 2 with beta 1/2: 4/3, and its root; with beta 0 they are 1.
    let given = operands(&[3.0, -4.0], &[8.0, 4.0], &[2.0, 4.0], &[16.0, 9.0]);
    let plain = update(0.0, 0.0, 1.0, 0.0, false, 2).case(&given, 0.5, 1).reference::<f64>();
    // m = g, v = g^2, w - 1/2 g / (|g| + 1)
    assert_eq!(plain[0], ("weights", vec![8.0 - 0.375, 4.0 + 0.4]));
    assert_eq!(plain[1..], [("first_moment", vec![3.0, -4.0]), ("second_moment", vec![9.0, 16.0])]);
    // g = 3 + 8/4 and -4 + 4/4
    let coupled = update(0.5, 0.5, 1.0, 0.25, false, 2).case(&given, 0.5, 1).reference::<f64>();
    assert_eq!(coupled[1..], [("first_moment", vec![3.5, 0.5]), ("second_moment", vec![20.5, 9.0])]);
    // The weights lose an eighth first, and the moments do not depend on it.
    let decoupled = update(0.0, 0.0, 1.0, 0.25, true, 2).case(&given, 0.5, 1).reference::<f64>();
    assert_eq!(decoupled[0], ("weights", vec![7.0 - 0.375, 3.5 + 0.4]));
    assert_eq!(decoupled[1..], plain[1..]);
    // A quarter of the gradient.
    let clipped = Update { clipped: true, ..update(0.5, 0.5, 1.0, 0.0, false, 2) };
    let clipped = clipped.case(&given, 0.5, 1).reference::<f64>();
    assert_eq!(clipped[1..], [("first_moment", vec![1.375, 1.5]), ("second_moment", vec![8.28125, 5.0])]);
}

/// Moments that start at 0 are corrected to the gradient, if that was always the same.
#[test]
fn corrections_make_up_for_the_start() {
    for (beta1, beta2) in [(0.9, 0.999), (0.5, 0.25), (0.0, 0.0), (0.99, 0.9999)] {
        let (mut m, mut v) = (0.0f64, 0.0f64);
        for step in 0..200 {
            m = f64::from(beta1) * m + (1.0 - f64::from(beta1)) * 3.0;
            v = f64::from(beta2) * v + (1.0 - f64::from(beta2)) * 9.0;
            let [c1, c2] = corrections(beta1, beta2, step).map(f64::from);
            let (first, second) = (c1 * m / 3.0, c2 * v.sqrt() / 3.0);
            assert!((first - 1.0).abs() < 1e-6 && (second - 1.0).abs() < 1e-6, "step {step}: {first} {second}");
        }
    }
    assert_eq!(corrections(0.9, 0.999, usize::MAX - 1), [1.0, 1.0]);
}

/// Some steps of `torch.optim.Adam` and `AdamW`, as computed by `_single_tensor_adam` of PyTorch.
#[test]
fn steps_are_those_of_pytorch() {
    let len = 50;
    for (decoupled, weight_decay) in [(false, 0.0), (false, 0.1), (true, 0.1)] {
        let op = update(0.9, 0.999, 1e-8, weight_decay, decoupled, len);
        let (lr, beta1, beta2, eps) = (0.01, f64::from(op.beta1), f64::from(op.beta2), f64::from(op.epsilon));
        let decay = f64::from(weight_decay);
        let start = Operands::random(len);
        let mut param: Vec<f64> = start.weights.iter().map(|w| f64::from(*w)).collect();
        let (mut exp_avg, mut exp_avg_sq) = (vec![0.0; len], vec![0.0; len]);
        let mut ours = Operands { first_moment: vec![0.0; len], second_moment: vec![0.0; len], ..start };
        for step in 1..=7 {
            ours.gradient = shadegrad::verify::random(len, 100 + step);
            for i in 0..len {
                let mut grad = f64::from(ours.gradient[i]);
                if decoupled {
                    param[i] *= 1.0 - lr * decay;
                } else {
                    grad += decay * param[i];
                }
                exp_avg[i] += (grad - exp_avg[i]) * (1.0 - beta1);
                exp_avg_sq[i] = exp_avg_sq[i] * beta2 + grad * grad * (1.0 - beta2);
                let step_size = lr / (1.0 - beta1.powi(step as i32));
                let bias_correction2_sqrt = (1.0 - beta2.powi(step as i32)).sqrt();
                let denom = exp_avg_sq[i].sqrt() / bias_correction2_sqrt + eps;
                param[i] -= step_size * exp_avg[i] / denom;
            }
            let got = op.case(&ours, lr as f32, step as usize - 1).reference::<f64>();
            let rounded = |index: usize| got[index].1.iter().map(|value| *value as f32).collect::<Vec<f32>>();
            [ours.weights, ours.first_moment, ours.second_moment] = [0, 1, 2].map(rounded);
            for (i, (got, expected)) in ours.weights.iter().zip(&param).enumerate() {
                // Learning rate, corrections, moments and weights are rounded to f32 in each step.
                let error = (f64::from(*got) - expected).abs();
                assert!(error <= 3e-7 * step as f64, "step {step}, w[{i}]: {got}, PyTorch {expected}");
            }
        }
    }
}

#[test]
fn agrees_with_the_reference() {
    agrees("adam.update");
}

/// A learning rate of 0 leaves all bits of the weights unchanged.
#[test]
fn a_rate_of_zero_moves_nothing() {
    let given = Operands::random(1009);
    let bits: Vec<u32> = given.weights.iter().map(|w| w.to_bits()).collect();
    for (decay, decoupled) in [(0.0, false), (0.25, false), (0.25, true)] {
        for (variant, got) in update(0.9, 0.999, 1e-8, decay, decoupled, 1009).case(&given, 0.0, 4).run_everywhere() {
            assert_eq!(got[0].bits, bits, "{decay} {decoupled} {variant}");
        }
    }
}
