//! gather_batch: gathers a batch by index from the data set, which is on the device as bytes.
//!
//! `x[row, i] = images[order[first + row] * pixels + i] / 255` and `targets[row] = labels[order[first + row]]` for the
//! first `count` rows of the batch; the remaining rows are zero. Bytes are packed four per word, the first in the
//! lowest bits. `first` and `count` come from [`Step`](super::Step).

mod cases;
mod cpu;
mod fast;
mod gpu;

pub(super) use cases::words;
pub(crate) use cases::{drawn, edge_cases};

use super::Op;

/// The pass: reads `images`, `labels` and `order`, and writes `x` and `targets`.
#[derive(Clone, Copy, Debug)]
pub struct Gather {
    /// Number of rows of the batch, N.
    pub batch: usize,
    /// Number of bytes per image, H*W*C.
    pub pixels: usize,
    /// Number of images in the data set.
    pub images: usize,
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather_batch.gather"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("images", (self.images * self.pixels).div_ceil(4)), ("labels", self.images), ("order", self.images)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("x", self.batch * self.pixels), ("targets", self.batch)]
    }
    fn touched(&self) -> Vec<(&'static str, usize)> {
        vec![("images", (self.batch * self.pixels).div_ceil(4)), ("labels", self.batch), ("order", self.batch)]
    }
}
