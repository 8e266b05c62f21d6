//! Epilogues: the function `finish` that kernels apply to a finished sum before they store it.

use super::Activation;
use super::dropout::Mask;
use super::launch::KernelLaunch;
use crate::wgsl;

/// The operation applied to a finished sum.
#[derive(Clone, Copy, Debug)]
pub(super) enum Epilogue {
    /// The sum is stored unchanged.
    Nothing,
    /// f(sum + b) is stored, with the bias b and the activation f, after dropout if there is one.
    Bias(Activation, Option<Mask>),
    /// sum * f'(x) is stored, with the derivative of the activation f that produced x. If dropout followed f, the
    /// elements that it dropped are dropped.
    Producer(Activation, Option<Mask>),
}

/// The number of adjacent sums that a kernel passes to `finish` per call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sums {
    /// One sum, as `f32`.
    Single,
    /// Four sums, as `vec4`.
    Four,
}

impl Epilogue {
    /// The epilogue of an input gradient, given the activation that produced the input and the dropout that followed.
    pub fn backward(producer: Activation, dropout: Option<Mask>) -> Self {
        match (producer, dropout) {
            (Activation::Identity, None) => Epilogue::Nothing,
            _ => Epilogue::Producer(producer, dropout),
        }
    }
}

impl KernelLaunch<'_, '_> {
    /// Adds the files and the operands of an epilogue to a kernel that calls `finish`.
    pub(super) fn finish(self, sums: Sums, epilogue: Epilogue) -> Self {
        use Sums::{Four, Single};
        match (epilogue, sums) {
            (Epilogue::Nothing, Single) => self.with(wgsl!("shared/finish_nothing_naive.wgsl")),
            (Epilogue::Nothing, Four) => self.with(wgsl!("shared/finish_nothing.wgsl")),
            (Epilogue::Bias(f, dropout), Single) => {
                let columns = self.to.region("b").len;
                let launch = self.reads("b").with(wgsl!("shared/finish_bias_naive.wgsl")).with(f.source());
                launch.drops(dropout).set("BIAS_COLUMNS", columns)
            }
            (Epilogue::Bias(f, dropout), Four) => {
                self.reads("b").with(wgsl!("shared/finish_bias.wgsl")).with(f.source()).drops(dropout)
            }
            (Epilogue::Producer(Activation::Identity, dropout), Single) => {
                self.with(wgsl!("shared/finish_dropout_naive.wgsl")).drops(dropout)
            }
            (Epilogue::Producer(Activation::Identity, dropout), Four) => {
                self.with(wgsl!("shared/finish_dropout.wgsl")).drops(dropout)
            }
            (Epilogue::Producer(f, dropout), Single) => {
                self.reads("x").with(wgsl!("shared/finish_producer_naive.wgsl")).with(f.source()).drops(dropout)
            }
            (Epilogue::Producer(f, dropout), Four) => {
                self.with(wgsl!("shared/finish_producer.wgsl")).with(f.source()).drops(dropout).epilogue_x()
            }
        }
    }
}
