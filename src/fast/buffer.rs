use crate::error::Result;
use crate::memory;
use bytemuck::{Pod, Zeroable, cast_slice, cast_slice_mut};

/// A cache line, which is also the width of the widest vector: loads within one line are the cheapest.
#[repr(C, align(64))]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Line([u32; Line::LEN]);

impl Line {
    const LEN: usize = 16;
}

/// Four-byte elements, aligned to a cache line.
#[derive(Clone, Default)]
pub(crate) struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    /// Allocates `len` zeros. If that fails, the error says that the memory was needed for `what`.
    pub fn new(len: usize, what: &str) -> Result<Buffer> {
        Ok(Buffer { lines: memory::zeros(len.div_ceil(Line::LEN), what)?, len })
    }

    /// The first `len` elements, whose values are unspecified. A shorter buffer is replaced by one of that length; if
    /// the allocation fails, the buffer is left empty.
    pub fn at_least(&mut self, len: usize) -> Result<&mut [f32]> {
        if self.len < len {
            *self = Buffer::default();
            *self = Buffer::new(len, "the working memory of the threads")?;
        }
        Ok(&mut cast_slice_mut(&mut self.lines)[..len])
    }

    pub fn reals(&self) -> &[f32] {
        &cast_slice(&self.lines)[..self.len]
    }

    pub fn reals_mut(&mut self) -> &mut [f32] {
        &mut cast_slice_mut(&mut self.lines)[..self.len]
    }

    pub fn ints(&self) -> &[u32] {
        &cast_slice(&self.lines)[..self.len]
    }

    pub fn ints_mut(&mut self) -> &mut [u32] {
        &mut cast_slice_mut(&mut self.lines)[..self.len]
    }
}
