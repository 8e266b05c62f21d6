//! What a kernel reads and writes through: its first operands lie in storages or, on drivers where that is faster, in
//! texture mirrors of them; elementwise kernels take four floats at once or, likewise, eight.

use super::{OperandSource, Recorder};
use crate::gpu::{KernelSpec, Operand, Source};
use crate::wgsl;

type Reads = Vec<(&'static str, Operand)>;

/// Appends the file that defines `load_left`, for the tensor `name`.
pub(super) fn left(name: &str, kernel: KernelSpec, reads: &mut Reads, to: &Recorder<'_>) -> KernelSpec {
    let files = [wgsl!("shared/left_buffer.wgsl"), wgsl!("shared/left_texture.wgsl")];
    append("left", files, name, kernel, reads, to)
}

/// Appends the file that defines `load_right`, for the tensor `name`.
pub(super) fn right(name: &str, kernel: KernelSpec, reads: &mut Reads, to: &Recorder<'_>) -> KernelSpec {
    let files = [wgsl!("shared/right_buffer.wgsl"), wgsl!("shared/right_texture.wgsl")];
    append("right", files, name, kernel, reads, to)
}

/// Appends the file that defines `load_x`, for the `x` of an epilogue. Where it is read from a mirror, the forward pass of
/// the same layer has filled that already.
pub(super) fn x(kernel: KernelSpec, reads: &mut Reads, to: &Recorder<'_>) -> KernelSpec {
    append("x", [wgsl!("shared/x_buffer.wgsl"), wgsl!("shared/x_texture.wgsl")], "x", kernel, reads, to)
}

fn append(
    binding: &'static str,
    [buffer, texture]: [&'static Source; 2],
    name: &str,
    kernel: KernelSpec,
    reads: &mut Reads,
    to: &Recorder<'_>,
) -> KernelSpec {
    let region = to.region(name);
    let (operand, file) = match to.config.operands {
        OperandSource::Buffer => (Operand::Buffer(region), buffer),
        OperandSource::Texture => (Operand::Mirror(region), texture),
    };
    reads.push((binding, operand));
    kernel.with([file])
}

/// Appends the file that says what an update takes of a gradient.
pub(super) fn gradient(clipped: bool, kernel: KernelSpec, reads: &mut Reads, to: &Recorder<'_>) -> KernelSpec {
    if !clipped {
        return kernel.with([wgsl!("shared/gradient.wgsl")]);
    }
    reads.push(to.buffer("scale"));
    kernel.with([wgsl!("shared/gradient_clipped.wgsl")])
}

/// Appends the file that says what the kernel loads and stores at once, and says how many floats that is. They divide
/// `len`, or are four.
pub(super) fn packs(kernel: KernelSpec, len: usize, to: &Recorder<'_>) -> (KernelSpec, usize) {
    if to.config.wide && len.is_multiple_of(8) {
        (kernel.with([wgsl!("shared/pack_wide.wgsl")]), 8)
    } else {
        (kernel.with([wgsl!("shared/pack.wgsl")]), 4)
    }
}
