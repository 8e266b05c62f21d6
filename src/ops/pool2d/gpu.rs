use super::{Backward, Forward, Kind, output_len, per_word};
use crate::error::Result;
use crate::ops::launch::KernelLaunch;
use crate::ops::loop_limit::check_iterations;
use crate::ops::{KernelForm, Record, Recorder};
use crate::shape::Window2d;
use crate::wgsl;

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.window;
        check_loops(g, g.kernel)?;
        let fast = to.config.form != KernelForm::Naive && g.channels.is_multiple_of(4);
        let pass = match (self.keeps_m, fast) {
            (false, true) => wgsl!("pool2d/forward.wgsl"),
            (false, false) => wgsl!("pool2d/forward_naive.wgsl"),
            (true, true) => wgsl!("pool2d/forward_extreme.wgsl"),
            (true, false) => wgsl!("pool2d/forward_extreme_naive.wgsl"),
        };
        let launch = to.kernel(pass).pools(g, self.kind).drops(self.dropout);
        let launch = match (self.keeps_m, fast) {
            (false, true) => launch.at_once(4),
            (false, false) => launch,
            (true, true) => launch.packs(g.channels),
            (true, false) => launch.at_once(per_word(g)),
        };
        launch
            .reads("x")
            .writes("y")
            .when(self.keeps_m, |launch| launch.set("PER_WORD", per_word(g)).writes("m"))
            .for_each_pack(output_len(g));
        Ok(())
    }
}

impl Record for Backward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.window;
        let apart = g.kernel[0] <= g.stride[0] && g.kernel[1] <= g.stride[1];
        let fast = to.config.form != KernelForm::Naive && apart && g.channels.is_multiple_of(4);
        let elements = if fast {
            check_loops(g, [g.stride[0].min(g.height), g.stride[1].min(g.width)])?;
            g.batch * g.height.div_ceil(g.stride[0]) * g.width.div_ceil(g.stride[1]) * g.channels
        } else {
            check_loops(g, [g.kernel[0].div_ceil(g.stride[0]), g.kernel[1].div_ceil(g.stride[1])])?;
            g.input_len()
        };
        let extreme = self.kind.is_extreme();
        let pass = match (extreme, fast) {
            (true, true) => wgsl!("pool2d/backward_extreme.wgsl"),
            (true, false) => wgsl!("pool2d/backward_extreme_naive.wgsl"),
            (false, true) => wgsl!("pool2d/backward.wgsl"),
            (false, false) => wgsl!("pool2d/backward_naive.wgsl"),
        };
        let launch = to.kernel(pass).pools(g, self.kind).with(self.producer.source());
        let launch = launch.set("KEPT", self.kept());
        let launch = match (extreme, fast) {
            (true, true) => launch.packs(g.channels),
            (false, true) => launch.at_once(4),
            (_, false) => launch,
        };
        let launch = if extreme {
            launch.set("PER_WORD", per_word(g)).reads("y").reads("m")
        } else {
            launch.reads("x").reads("y")
        };
        launch.reads("dy").writes("dx").for_each_pack(elements);
        Ok(())
    }
}

impl KernelLaunch<'_, '_> {
    /// Joins the constants of the windows and the kind of pooling.
    fn pools(self, window: &Window2d, kind: Kind) -> Self {
        self.with(wgsl!("pool2d/kind.wgsl")).window(window).set("KIND", kind as usize)
    }
}

/// Checks that two nested loops over rows and columns stay within the limit on iterations; those of the outer loop
/// count too.
fn check_loops(window: &Window2d, [rows, columns]: [usize; 2]) -> Result<()> {
    let ([height, width], [down, right]) = (window.kernel, window.stride);
    let what = format!("pool2d: one element of a {height}x{width} window with stride {down}x{right}");
    check_iterations(rows * (columns + 1), &what, "a smaller window or a larger stride")
}
