//! Where a kernel reads its first operands: from storages, or on drivers where that is faster, from texture mirrors.

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
            kernel.with([wgsl!("shared/left_texture.wgsl")]).set("LEFT_FIRST", region.offset / 4)
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
            kernel.with([wgsl!("shared/right_texture.wgsl")]).set("RIGHT_FIRST", region.offset / 4)
        }
    }
}
