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
    /// Everything zero.
    pub fn new(len: usize) -> Buffer {
        Buffer { lines: vec![Line::zeroed(); len.div_ceil(Line::LEN)], len }
    }

    /// Grows to at least `len` elements, with whatever they held, and gives the first `len`.
    pub fn at_least(&mut self, len: usize) -> &mut [f32] {
        if self.len < len {
            self.lines.resize(len.div_ceil(Line::LEN), Line::zeroed());
            self.len = len;
        }
        &mut cast_slice_mut(&mut self.lines)[..len]
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
