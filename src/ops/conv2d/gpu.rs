use super::{BackwardInput, BackwardWeight, Forward, Geometry, naive};
use crate::error::Result;
use crate::gpu::ShaderFile;
use crate::ops::epilogue::Epilogue;
use crate::ops::launch::KernelLaunch;
use crate::ops::loop_limit::MOST_ITERATIONS;
use crate::ops::matrix::{Places, Product, Rows, Slide};
use crate::ops::{KernelForm, Record, Recorder};
use crate::wgsl;

/// Largest number of weights per filter (R*S*C) for which direct kernels keep all sums in registers.
const DIRECT_TAPS: usize = 32;

/// Number of adjacent places of a row that direct kernels process together.
pub(super) const BLOCK: usize = 4;

/// Largest number of blocks that an invocation sums. Drivers unroll the loops within a block, which run over arrays of
/// constant length, so each block counts as one loop iteration.
const MOST_BLOCKS: usize = 1024;

const _: () = assert!(MOST_BLOCKS <= MOST_ITERATIONS);

/// Number of invocations of a workgroup that share the sums of a part, as in backward_weight_direct_shared.wgsl.
pub(super) const SHARING: usize = 64;

/// Number of invocations that keep a large GPU busy.
const BUSY: usize = 1 << 16;

/// The kinds of kernels, the fastest first.
enum Choice {
    /// A matrix product; the numbers of channels and filters must be multiples of 4.
    Matrix,
    /// For few input channels; the number of filters must be a multiple of 4.
    Direct,
    /// For any shape.
    Naive,
}

impl Geometry {
    fn choice(&self, to: &Recorder<'_>) -> Choice {
        let in_fours = |channels: usize| channels.is_multiple_of(4);
        if to.config.form == KernelForm::Naive || !in_fours(self.filters) {
            Choice::Naive
        } else if self.is_matrix() {
            Choice::Matrix
        } else if self.is_direct() {
            Choice::Direct
        } else {
            Choice::Naive
        }
    }

    /// Whether there are few enough input channels for direct kernels, unless the naive form is configured.
    pub(super) fn is_direct(&self) -> bool {
        let few = self.window.area() * self.window.channels <= DIRECT_TAPS;
        few && self.filters.is_multiple_of(4) && !self.window.channels.is_multiple_of(4)
    }

    /// Whether the convolution can be a matrix product, unless the naive form is configured.
    pub(super) fn is_matrix(&self) -> bool {
        self.filters.is_multiple_of(4) && self.window.channels.is_multiple_of(4)
    }

    /// Whether the window extends past an edge of the image at any place.
    pub(super) fn padded(&self) -> bool {
        let window = &self.window;
        let reaches_over = |axis: usize, places: usize, size: usize| {
            window.padding[axis] > 0 || (places - 1) * window.stride[axis] + window.kernel[axis] > size
        };
        reaches_over(0, window.out_height, window.height) || reaches_over(1, window.out_width, window.width)
    }

    /// Starts the launch of an address map for the matrix engine.
    pub(super) fn map<'r, 'a>(&self, pass: &'static ShaderFile, to: &'r mut Recorder<'a>) -> KernelLaunch<'r, 'a> {
        to.kernel(pass)
            .window(&self.window)
            .set_all([("CHANNELS4", self.window.channels / 4), ("FILTERS4", self.filters / 4)])
    }

    /// How adjacent places share loads, in rows of `run` places with `channels` channels per tap. `None` if the
    /// horizontal stride is not 1.
    fn slide(&self, places: Places, run: usize, channels: usize) -> Option<Slide> {
        let slide = Slide { places, run, taps: self.window.kernel[1], tap4: channels / 4 };
        (self.window.stride[1] == 1).then_some(slide)
    }

    /// Starts the launch of a direct kernel: its own file, joined with `pixels.wgsl`.
    pub(super) fn direct<'r, 'a>(&self, pass: &'static ShaderFile, to: &'r mut Recorder<'a>) -> KernelLaunch<'r, 'a> {
        to.kernel(pass)
            .with(wgsl!("conv2d/pixels.wgsl"))
            .window(&self.window)
            .set_all([("FILTERS4", self.filters / 4), ("PLACES", BLOCK)])
            .set("PADDED", self.padded())
    }

    /// Records a direct weight gradient whose parts are shared by the invocations of a workgroup: a GPU is busy with many
    /// invocations, and there should be few parts. `gradient` binds dy.
    pub(super) fn shared_sums(
        &self,
        to: &mut Recorder<'_>,
        gradient: impl for<'r, 'a> FnOnce(KernelLaunch<'r, 'a>) -> KernelLaunch<'r, 'a>,
    ) {
        let packs = self.filters / 4;
        let chunk = (self.blocks() * packs / BUSY).clamp(1, MOST_BLOCKS);
        let parts = self.blocks().div_ceil(chunk * (SHARING / packs));
        let sums = self.weight_len() + self.filters;
        let launch = self
            .direct(wgsl!("conv2d/backward_weight_direct_shared.wgsl"), to)
            .with(wgsl!("conv2d/direct_sums.wgsl"))
            .with(wgsl!("shared/pack.wgsl"))
            .with(wgsl!("shared/linear.wgsl"))
            .set_all([("CHUNK", chunk), ("PARTS", parts)])
            .left("x");
        gradient(launch).writes_scratch("partial", parts * sums).groups(parts).add_weight_parts(
            parts,
            sums,
            ["dw", "db"],
        );
    }

    /// Number of blocks of adjacent places in direct kernels.
    fn blocks(&self) -> usize {
        self.window.batch * self.window.out_height * self.window.out_width.div_ceil(BLOCK)
    }
}

// ANCHOR: forward
impl Record for Forward {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        match g.choice(to) {
            Choice::Naive => return naive::forward(self, to),
            Choice::Direct => {
                g.direct(wgsl!("conv2d/forward_direct.wgsl"), to)
                    .with(self.activation.source())
                    .drops(self.dropout)
                    .reads("b")
                    .left("x")
                    .right("w")
                    .packs(g.filters)
                    .writes("y")
                    .for_each_pack(g.window.batch * g.window.out_height * g.filters);
            }
            Choice::Matrix => {
                g.map(wgsl!("conv2d/forward.wgsl"), to)
                    .with(wgsl!("conv2d/places_each.wgsl"))
                    .set("PADDED", g.padded())
                    .multiply(Product {
                        m: g.window.places(),
                        n: g.filters,
                        k: g.window.area() * g.window.channels,
                        left: "x",
                        right: "w",
                        product: "y",
                        epilogue: Epilogue::Bias(self.activation, self.dropout),
                        bias: None,
                        slide: g.slide(Places::Rows, g.window.out_width, g.window.channels),
                        rows: Rows::Each,
                    });
            }
        }
        Ok(())
    }
}
// ANCHOR_END: forward

impl Record for BackwardInput {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        match g.choice(to) {
            Choice::Naive | Choice::Direct => return naive::backward_input(self, to),
            Choice::Matrix => g.map(wgsl!("conv2d/backward_input.wgsl"), to).multiply(Product {
                m: g.window.batch * g.window.height * g.window.width,
                n: g.window.channels,
                k: g.window.area() * g.filters,
                left: "dy",
                right: "w",
                product: "dx",
                epilogue: Epilogue::backward(self.producer, self.dropout),
                bias: None,
                slide: g.slide(Places::Rows, g.window.width, g.filters),
                rows: Rows::Each,
            }),
        }
        Ok(())
    }
}

impl Record for BackwardWeight {
    fn record(&self, to: &mut Recorder<'_>) -> Result<()> {
        let g = &self.geometry;
        match g.choice(to) {
            Choice::Naive => return naive::backward_weight(self, to),
            Choice::Direct if to.config.form == KernelForm::Staged && g.filters / 4 <= SHARING => {
                g.shared_sums(to, |launch| launch.with(wgsl!("conv2d/gradient_each.wgsl")).reads("dy"));
            }
            Choice::Direct => {
                // Roughly as many blocks per part as there are parts, so that both dispatches are short.
                let chunk = (g.blocks().isqrt() / 2).clamp(1, MOST_BLOCKS);
                let parts = g.blocks().div_ceil(chunk);
                let sums = g.weight_len() + g.filters;
                g.direct(wgsl!("conv2d/backward_weight_direct.wgsl"), to)
                    .with(wgsl!("conv2d/direct_sums.wgsl"))
                    .with(wgsl!("conv2d/gradient_each.wgsl"))
                    .set("CHUNK", chunk)
                    .reads("dy")
                    .left("x")
                    .packs(g.filters)
                    .writes_scratch("partial", parts * sums)
                    .for_each_pack(parts * g.filters)
                    .add_weight_parts(parts, sums, ["dw", "db"]);
            }
            Choice::Matrix => {
                g.map(wgsl!("conv2d/backward_weight.wgsl"), to).set("PADDED", g.padded()).multiply(Product {
                    m: g.window.area() * g.window.channels,
                    n: g.filters,
                    k: g.window.places(),
                    left: "x",
                    right: "dy",
                    product: "dw",
                    epilogue: Epilogue::Nothing,
                    bias: Some("db"),
                    slide: g.slide(Places::Terms, g.window.out_width, g.window.channels),
                    rows: Rows::Each,
                });
            }
        }
        Ok(())
    }
}
