//! What a kernel reads and writes through: its first operands lie in storages or, on drivers where that is faster, in
//! texture mirrors of them; elementwise kernels take four floats at once or, likewise, eight.

use super::{OperandSource, Recorder};
use crate::gpu::{KernelSpec, Operand, Source};
use crate::wgsl;

type Reads = Vec<(&'static str, Operand)>;

/// An operand of matrix passes, by the function that loads it: its binding, the file for storages, the file for mirrors and
/// its constant for the first vec4 in the mirror.
struct Loader {
    binding: &'static str,
    buffer: &'static Source,
    texture: &'static Source,
    first: &'static str,
}

impl Loader {
    fn append(&self, name: &str, kernel: KernelSpec, reads: &mut Reads, to: &Recorder<'_>) -> KernelSpec {
        let region = to.region(name);
        match to.settings.operands {
            OperandSource::Buffer => {
                reads.push((self.binding, Operand::Buffer(region)));
                kernel.with([self.buffer])
            }
            OperandSource::Texture => {
                reads.push((self.binding, Operand::Mirror(region)));
                kernel.with([self.texture]).set(self.first, region.offset / 4)
            }
        }
    }
}

/// Appends the file that defines `load_left`, for the tensor `name`.
pub(super) fn left(name: &str, kernel: KernelSpec, reads: &mut Reads, to: &Recorder<'_>) -> KernelSpec {
    let (buffer, texture) = (wgsl!("shared/left_buffer.wgsl"), wgsl!("shared/left_texture.wgsl"));
    Loader { binding: "left", buffer, texture, first: "LEFT_FIRST" }.append(name, kernel, reads, to)
}

/// Appends the file that defines `load_right`, for the tensor `name`.
pub(super) fn right(name: &str, kernel: KernelSpec, reads: &mut Reads, to: &Recorder<'_>) -> KernelSpec {
    let (buffer, texture) = (wgsl!("shared/right_buffer.wgsl"), wgsl!("shared/right_texture.wgsl"));
    Loader { binding: "right", buffer, texture, first: "RIGHT_FIRST" }.append(name, kernel, reads, to)
}

/// Appends the file that defines `load_x`, for the `x` of an epilogue. Where it is read from a mirror, the forward pass of
/// the same layer has filled that already.
pub(super) fn x(kernel: KernelSpec, reads: &mut Reads, to: &Recorder<'_>) -> KernelSpec {
    let (buffer, texture) = (wgsl!("shared/x_buffer.wgsl"), wgsl!("shared/x_texture.wgsl"));
    Loader { binding: "x", buffer, texture, first: "X_FIRST" }.append("x", kernel, reads, to)
}

/// Appends the file that says what the kernel loads and stores at once, and says how many floats that is. They divide
/// `len`, or are four.
pub(super) fn packs(kernel: KernelSpec, len: usize, to: &Recorder<'_>) -> (KernelSpec, usize) {
    if to.settings.wide && len.is_multiple_of(8) {
        (kernel.with([wgsl!("shared/pack_wide.wgsl")]), 8)
    } else {
        (kernel.with([wgsl!("shared/pack.wgsl")]), 4)
    }
}
