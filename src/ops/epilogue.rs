//! What becomes of a finished sum, before it is stored: the function `finish` of kernels that add.

use super::Activation;
use super::launch::KernelLaunch;
use crate::wgsl;

/// What becomes of a finished sum.
#[derive(Clone, Copy, Debug)]
pub(super) enum Epilogue {
    /// The sum is stored as it is.
    Nothing,
    /// f(sum + b)
    Bias(Activation),
    /// sum * f'(x)
    Producer(Activation),
}

/// How many neighbouring sums a kernel hands to `finish` at once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sums {
    /// One, an `f32`.
    Single,
    /// Four, a `vec4`.
    Four,
}

impl From<Activation> for Epilogue {
    /// The epilogue of an input gradient, from the activation that made the input.
    fn from(producer: Activation) -> Self {
        match producer {
            Activation::Identity => Epilogue::Nothing,
            other => Epilogue::Producer(other),
        }
    }
}

impl KernelLaunch<'_, '_> {
    /// Joins the files of an epilogue to a kernel that calls `finish`, and reads what they need.
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
