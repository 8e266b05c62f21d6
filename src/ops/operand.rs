//! Operands of kernels: products read from storages or, on drivers where that is faster, from texture mirrors of them;
//! elementwise kernels process packs of four floats or, on drivers where that is faster, of eight.

use super::OperandSource;
use super::launch::KernelLaunch;
use crate::gpu::{Operand, ShaderFile};
use crate::shape::Window2d;
use crate::wgsl;

impl KernelLaunch<'_, '_> {
    /// Binds a tensor as the left operand of a product and joins the file that defines `load_left`.
    pub fn left(self, tensor: &str) -> Self {
        let files = [wgsl!("shared/left_buffer.wgsl"), wgsl!("shared/left_texture.wgsl")];
        self.operand("left", tensor, files).says_textures()
    }

    /// Binds a tensor as the right operand of a product and joins the file that defines `load_right`.
    pub fn right(self, tensor: &str) -> Self {
        let files = [wgsl!("shared/right_buffer.wgsl"), wgsl!("shared/right_texture.wgsl")];
        self.operand("right", tensor, files).says_textures()
    }

    /// Binds the `x` of an epilogue and joins the file that defines `load_x`. If it is read from a mirror, that has
    /// been filled by the forward pass of the same layer already. Does not count as a variant of the kernel.
    pub(super) fn epilogue_x(self) -> Self {
        self.operand("x", "x", [wgsl!("shared/x_buffer.wgsl"), wgsl!("shared/x_texture.wgsl")])
    }

    fn operand(mut self, binding: &'static str, tensor: &str, [buffer, texture]: [&'static ShaderFile; 2]) -> Self {
        let region = self.to.region(tensor);
        let (operand, file) = match self.config().operands {
            OperandSource::Buffer => (Operand::Buffer(region), buffer),
            OperandSource::Texture => (Operand::Mirror(region), texture),
        };
        self.reads.push((binding, operand));
        self.with(file)
    }

    fn says_textures(mut self) -> Self {
        self.variant.textures |= self.config().operands == OperandSource::Texture;
        self
    }

    /// Joins the constants of a window and sets their values.
    pub fn window(self, window: &Window2d) -> Self {
        self.with(wgsl!("shared/window.wgsl")).set_all(window.constants())
    }

    /// Binds `gradient` for an update and joins the file that loads it; if it is `clipped`, it is multiplied by
    /// `scale`.
    pub fn gradient(self, clipped: bool) -> Self {
        if clipped {
            self.reads("gradient").reads("scale").with(wgsl!("shared/gradient_clipped.wgsl"))
        } else {
            self.reads("gradient").with(wgsl!("shared/gradient.wgsl"))
        }
    }

    /// Processes packs of four floats, or of eight if 64-bit words are configured and `len` is a multiple of 8: joins
    /// the file that defines `Pack`.
    pub fn packs(mut self, len: usize) -> Self {
        if self.config().wide && len.is_multiple_of(8) {
            self.variant.wide = true;
            self.with(wgsl!("shared/pack_wide.wgsl")).at_once(8)
        } else {
            self.with(wgsl!("shared/pack.wgsl")).at_once(4)
        }
    }

    /// Processes single floats, where other variants process packs.
    pub fn singles(self) -> Self {
        self.with(wgsl!("shared/pack_single.wgsl")).at_once(1)
    }

    /// Sets the number of elements per invocation for [`KernelLaunch::for_each_pack`].
    pub fn at_once(mut self, elements: usize) -> Self {
        self.at_once = elements;
        self
    }

    /// Number of elements per invocation.
    pub fn pack(&self) -> usize {
        self.at_once
    }
}
