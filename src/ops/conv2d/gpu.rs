use super::{BackwardBias, BackwardInput, BackwardWeight, Forward, Geometry, naive};
use crate::error::Result;
use crate::gpu::{KernelSpec, Operand};
use crate::ops::matrix::{self, Epilogue, Product};
use crate::ops::{Form, Record, Recorder};
use crate::wgsl;

/// Most taps (R*S*C) whose sums a direct kernel keeps in registers.
const DIRECT_TAPS: usize = 32;

/// The kernels of a shape, best first.
enum Choice {
    /// A matrix product: channels in fours on both sides.
    Matrix,
    /// Few channels in, filters in fours.
    Direct,
    /// Anything.
    Naive,
}

impl Geometry {
    fn choice(&self, to: &Recorder<'_>) -> Choice {
        let in_fours = |channels: usize| channels.is_multiple_of(4);
        if to.settings.form == Form::Naive || !in_fours(self.filters) {
            Choice::Naive
        } else if in_fours(self.window.channels) {
            Choice::Matrix
        } else if self.window.area() * self.window.channels <= DIRECT_TAPS {
            Choice::Direct
        } else {
            Choice::Naive
        }
    }

    /// Whether a window anywhere reaches over the edge of the image.
    fn padded(&self) -> bool {
        let window = &self.window;
        let reaches_over = |axis: usize, places: usize, size: usize| {
            window.padding[axis] > 0 || (places - 1) * window.stride[axis] + window.kernel[axis] > size
        };
        reaches_over(0, window.out_height, window.height) || reaches_over(1, window.out_width, window.width)
    }

    fn map(&self, map: KernelSpec) -> KernelSpec {
        let unused = ["BATCH", "CHANNELS", "KERNEL_H"];
        map.set_all(self.window.constants().into_iter().filter(|(name, _)| !unused.contains(name)))
            .set("CHANNELS4", self.window.channels / 4)
            .set("FILTERS4", self.filters / 4)
    }

    fn direct(&self, kernel: KernelSpec) -> KernelSpec {
        kernel
            .set_all(self.window.constants().into_iter().filter(|(name, _)| *name != "BATCH"))
            .set("FILTERS4", self.filters / 4)
            .set("PADDED", self.padded())
    }
}

impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        match g.choice(to) {
            Choice::Naive => return naive::forward(self, to),
            Choice::Direct => {
                let count = g.window.batch * g.window.out_height * g.window.out_width.div_ceil(4) * g.filters / 4;
                let kernel = KernelSpec::new([wgsl!("conv2d/forward_direct.wgsl"), self.activation.source()]);
                let reads = vec![to.buffer("x"), to.buffer("w"), to.buffer("b")];
                to.for_each(count, g.direct(kernel), reads, vec![to.buffer("y")]);
            }
            Choice::Matrix => Product {
                map: g.map(KernelSpec::new([wgsl!("conv2d/forward.wgsl")])).set("PADDED", g.padded()),
                m: g.window.places(),
                n: g.filters,
                k: g.window.area() * g.window.channels,
                left: "x",
                right: "w",
                product: "y",
                epilogue: Epilogue::Bias(self.activation),
            }
            .record(to),
        }
        Ok(())
    }
}

impl Record for BackwardInput {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        match g.choice(to) {
            Choice::Naive | Choice::Direct => return naive::backward_input(self, to),
            Choice::Matrix => Product {
                map: g.map(KernelSpec::new([wgsl!("conv2d/backward_input.wgsl")])),
                m: g.window.batch * g.window.height * g.window.width,
                n: g.window.channels,
                k: g.window.area() * g.filters,
                left: "dy",
                right: "w",
                product: "dx",
                epilogue: self.producer.into(),
            }
            .record(to),
        }
        Ok(())
    }
}

impl Record for BackwardWeight {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        match g.choice(to) {
            Choice::Naive => return naive::backward_weight(self, to),
            Choice::Direct => {
                let places = g.window.places();
                let parts = places.isqrt().div_ceil(2).max(places.div_ceil(MOST_PLACES));
                let chunk = places.div_ceil(parts);
                let parts = places.div_ceil(chunk);
                let kernel = g
                    .direct(KernelSpec::new([wgsl!("conv2d/backward_weight_direct.wgsl")]))
                    .set("PLACES", places)
                    .set("CHUNK", chunk);
                let partial = Operand::Scratch(parts * g.weight_len());
                let reads = vec![to.buffer("x"), to.buffer("dy")];
                to.for_each(parts * g.filters / 4, kernel, reads, vec![("partial", partial)]);
                matrix::reduce(to, partial, parts, g.filters, "dw", Epilogue::Nothing);
            }
            Choice::Matrix => Product {
                map: g.map(KernelSpec::new([wgsl!("conv2d/backward_weight.wgsl")])).set("PADDED", g.padded()),
                m: g.window.area() * g.window.channels,
                n: g.filters,
                k: g.window.places(),
                left: "x",
                right: "dy",
                product: "dw",
                epilogue: Epilogue::Nothing,
            }
            .record(to),
        }
        Ok(())
    }
}

/// Most places a direct invocation walks over; with [`DIRECT_TAPS`] it stays far below llvmpipe's 65,535 rounds.
const MOST_PLACES: usize = 1500;

impl Record for BackwardBias {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        match g.choice(to) {
            Choice::Naive => return naive::backward_bias(self, to),
            Choice::Direct | Choice::Matrix => matrix::record_column_sums(to, g.window.places(), g.filters),
        }
        Ok(())
    }
}
