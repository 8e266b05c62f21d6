//! What a kernel reads and writes through: its first operands lie in storages or, on drivers where that is faster, in
//! texture mirrors of them; elementwise kernels take four floats at once or, likewise, eight.

use super::{OperandSource, Recorder};
use crate::gpu::{KernelSpec, Operand};
use crate::wgsl;

type Reads = Vec<(&'static str, Operand)>;

/// Appends the file that defines `load_left`, for the tensor `name`.
pub(super) fn left(name: &str, kernel: KernelSpec, reads: &mut Reads, to: &Recorder<'_>) -> KernelSpec {
    let region = to.region(name);
    match to.settings.operands {
        OperandSource::Buffer => {
            reads.push(("left", Operand::Buffer(region)));
            kernel.with([wgsl!("shared/left_buffer.wgsl")])
        }
        OperandSource::Texture => {
            reads.push(("left", Operand::Mirror(region)));
            kernel.with([wgsl!("shared/left_texture.wgsl")])
        }
    }
}

/// Appends the file that defines `load_right`, for the tensor `name`.
pub(super) fn right(name: &str, kernel: KernelSpec, reads: &mut Reads, to: &Recorder<'_>) -> KernelSpec {
    let region = to.region(name);
    match to.settings.operands {
        OperandSource::Buffer => {
            reads.push(("right", Operand::Buffer(region)));
            kernel.with([wgsl!("shared/right_buffer.wgsl")])
        }
        OperandSource::Texture => {
            reads.push(("right", Operand::Mirror(region)));
            kernel.with([wgsl!("shared/right_texture.wgsl")])
        }
    }
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
