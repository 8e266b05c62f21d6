use super::{Backward, Forward, Kind, output_len, per_word};
use crate::error::{Error, Result};
use crate::gpu::{KernelSpec, Source};
use crate::ops::{KernelForm, Record, Recorder, operand};
use crate::shape::Window2d;
use crate::wgsl;

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.window;
        let places = output_len(g);
        let fast = to.config.form != KernelForm::Naive && g.channels.is_multiple_of(4);
        check_iterations(g, iterations(g.kernel))?;
        let pass = match (self.keeps_m, fast) {
            (false, true) => wgsl!("pool2d/forward.wgsl"),
            (false, false) => wgsl!("pool2d/forward_naive.wgsl"),
            (true, true) => wgsl!("pool2d/forward_extreme.wgsl"),
            (true, false) => wgsl!("pool2d/forward_extreme_naive.wgsl"),
        };
        let (mut kernel, mut writes) = (kernel(pass, g, self.kind), vec![to.buffer("y")]);
        let mut at_once = if fast { 4 } else { 1 };
        if self.keeps_m {
            kernel = kernel.set("PER_WORD", per_word(g));
            writes.push(to.buffer("m"));
            if fast {
                (kernel, at_once) = operand::packs(kernel, g.channels, to);
            } else {
                at_once = per_word(g);
            }
        }
        to.for_each(places.div_ceil(at_once), kernel, vec![to.buffer("x")], writes);
        Ok(())
    }
}

impl Record for Backward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.window;
        let apart = g.kernel[0] <= g.stride[0] && g.kernel[1] <= g.stride[1];
        let fast = to.config.form != KernelForm::Naive && apart && g.channels.is_multiple_of(4);
        let elements = if fast {
            let cell = [g.stride[0].min(g.height), g.stride[1].min(g.width)];
            check_iterations(g, iterations(cell))?;
            g.batch * g.height.div_ceil(g.stride[0]) * g.width.div_ceil(g.stride[1]) * g.channels
        } else {
            let around = [g.kernel[0].div_ceil(g.stride[0]), g.kernel[1].div_ceil(g.stride[1])];
            check_iterations(g, iterations(around))?;
            g.input_len()
        };
        let extreme = self.kind.is_extreme();
        let pass = match (extreme, fast) {
            (true, true) => wgsl!("pool2d/backward_extreme.wgsl"),
            (true, false) => wgsl!("pool2d/backward_extreme_naive.wgsl"),
            (false, true) => wgsl!("pool2d/backward.wgsl"),
            (false, false) => wgsl!("pool2d/backward_naive.wgsl"),
        };
        let mut kernel = kernel(pass, g, self.kind).with([self.producer.source()]);
        let mut at_once = if fast { 4 } else { 1 };
        if extreme {
            kernel = kernel.set("PER_WORD", per_word(g));
        }
        if extreme && fast {
            (kernel, at_once) = operand::packs(kernel, g.channels, to);
        }
        let reads = if extreme { ["y", "m", "dy"] } else { ["x", "y", "dy"] };
        let reads = reads.map(|name| to.buffer(name));
        to.for_each(elements / at_once, kernel, reads.into(), vec![to.buffer("dx")]);
        Ok(())
    }
}

fn kernel(pass: &'static Source, g: &Window2d, kind: Kind) -> KernelSpec {
    KernelSpec::new([pass, wgsl!("pool2d/kind.wgsl"), wgsl!("shared/window.wgsl")])
        .set_all(g.constants())
        .set("KIND", kind as usize)
}

/// Of two nested loops: each round of the outer one counts too.
fn iterations([rows, columns]: [usize; 2]) -> usize {
    rows * (columns + 1)
}

/// lavapipe leaves an invocation's loops after 65,535 iterations in all, and says nothing. A window that needs more is
/// nothing a network for images wants, so it is refused everywhere.
fn check_iterations(g: &Window2d, iterations: usize) -> Result<()> {
    const MOST: usize = 65_535;
    if iterations <= MOST {
        return Ok(());
    }
    let ([rows, columns], [down, right]) = (g.kernel, g.stride);
    Err(Error::Network(format!(
        "pool2d: a {rows}x{columns} window with stride {down}x{right} needs {iterations} loop iterations for one \
         element, expected at most {MOST}; use a smaller window or a larger stride"
    )))
}
