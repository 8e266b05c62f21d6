use crate::error::Result;
use crate::memory;
use bytemuck::{Pod, Zeroable, cast_slice, cast_slice_mut};

/// A cache line, and the widest vector: loads that stay inside one are the cheapest.
#[repr(C, align(64))]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Line([u32; Line::LEN]);

impl Line {
    const LEN: usize = 16;
}

/// Elements of four bytes that begin at a cache line.
#[derive(Clone, Default)]
pub(crate) struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    /// Everything zero. `what` says in the error what it was for, if the memory cannot be had.
    pub fn new(len: usize, what: &str) -> Result<Buffer> {
        Ok(Buffer { lines: memory::zeros(len.div_ceil(Line::LEN), what)?, len })
    }

    /// The first `len` elements, whatever they hold. A buffer that is shorter gives way to one of that length; if the
    /// memory for it cannot be had, that is the error, and the buffer is empty.
    pub fn at_least(&mut self, len: usize) -> Result<&mut [f32]> {
        if self.len < len {
            *self = Buffer::default();
            *self = Buffer::new(len, "what the threads work in")?;
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
