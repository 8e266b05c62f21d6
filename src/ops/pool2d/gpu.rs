use super::{Backward, Forward, Kind, m_len, output_len, per_word};
use crate::error::{Error, Result};
use crate::gpu::{KernelSpec, Source};
use crate::ops::{Form, Record, Recorder};
use crate::shape::Window2d;
use crate::wgsl;

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.window;
        let places = output_len(g);
        let fast = to.settings.form != Form::Naive && g.channels.is_multiple_of(4);
        check_iterations(g, iterations(g.kernel))?;
        let (pass, count) = match (self.keeps_m, fast) {
            (false, true) => (wgsl!("pool2d/forward.wgsl"), places / 4),
            (false, false) => (wgsl!("pool2d/forward_naive.wgsl"), places),
            (true, true) => (wgsl!("pool2d/forward_extreme.wgsl"), places / 4),
            (true, false) => (wgsl!("pool2d/forward_extreme_naive.wgsl"), m_len(g)),
        };
        let (mut kernel, mut writes) = (kernel(pass, g, self.kind), vec![to.buffer("y")]);
        if self.keeps_m {
            kernel = kernel.set("PER_WORD", per_word(g));
            writes.push(to.buffer("m"));
        }
        to.for_each(count, kernel, vec![to.buffer("x")], writes);
        Ok(())
    }
}

impl Record for Backward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.window;
        let apart = g.kernel[0] <= g.stride[0] && g.kernel[1] <= g.stride[1];
        let fast = to.settings.form != Form::Naive && apart && g.channels.is_multiple_of(4);
        let count = if fast {
            let cell = [g.stride[0].min(g.height), g.stride[1].min(g.width)];
            check_iterations(g, iterations(cell))?;
            g.batch * g.height.div_ceil(g.stride[0]) * g.width.div_ceil(g.stride[1]) * g.channels / 4
        } else {
            let around = [g.kernel[0].div_ceil(g.stride[0]), g.kernel[1].div_ceil(g.stride[1])];
            check_iterations(g, iterations(around))?;
            g.input_len()
        };
        let (pass, reads) = if self.kind.is_extreme() {
            let naive = wgsl!("pool2d/backward_extreme_naive.wgsl");
            (if fast { wgsl!("pool2d/backward_extreme.wgsl") } else { naive }, ["y", "m", "dy"])
        } else {
            let naive = wgsl!("pool2d/backward_naive.wgsl");
            (if fast { wgsl!("pool2d/backward.wgsl") } else { naive }, ["x", "y", "dy"])
        };
        let mut kernel = kernel(pass, g, self.kind).with([self.producer.source()]);
        if self.kind.is_extreme() {
            kernel = kernel.set("PER_WORD", per_word(g));
        }
        to.for_each(count, kernel, reads.map(|name| to.buffer(name)).into(), vec![to.buffer("dx")]);
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
