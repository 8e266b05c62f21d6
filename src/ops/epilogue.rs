//! Epilogues: the function `finish` that kernels apply to a finished sum before they store it.

use super::Activation;
use super::launch::KernelLaunch;
use crate::wgsl;

/// The operation applied to a finished sum.
#[derive(Clone, Copy, Debug)]
pub(super) enum Epilogue {
    /// The sum is stored unchanged.
    Nothing,
    /// f(sum + b) is stored, with the bias b and the activation f.
    Bias(Activation),
    /// sum * f'(x) is stored, with the derivative of the activation f that produced x.
    Producer(Activation),
}

/// The number of adjacent sums that a kernel passes to `finish` per call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sums {
    /// One sum, as `f32`.
    Single,
    /// Four sums, as `vec4`.
    Four,
}

impl From<Activation> for Epilogue {
    /// The epilogue of an input gradient, given the activation that produced the input.
    fn from(producer: Activation) -> Self {
        match producer {
            Activation::Identity => Epilogue::Nothing,
            other => Epilogue::Producer(other),
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
            (Epilogue::Bias(f), Single) => {
                let columns = self.to.region("b").len;
                let launch = self.reads("b").with(wgsl!("shared/finish_bias_naive.wgsl")).with(f.source());
                launch.set("BIAS_COLUMNS", columns)
            }
            (Epilogue::Bias(f), Four) => self.reads("b").with(wgsl!("shared/finish_bias.wgsl")).with(f.source()),
            (Epilogue::Producer(f), Single) => {
                self.reads("x").with(wgsl!("shared/finish_producer_naive.wgsl")).with(f.source())
            }
            (Epilogue::Producer(f), Four) => {
                self.with(wgsl!("shared/finish_producer.wgsl")).with(f.source()).epilogue_x()
            }
        }
    }
}
