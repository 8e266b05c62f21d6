//! gather_batch: a batch is drawn by index from the data set, which lies on the device as bytes.
//!
//! `x[row, i] = images[order[first + row] * pixels + i] / 255` and `targets[row] = labels[order[first + row]]` for the
//! `count` rows of the batch; rows behind them are zero. Bytes lie four to a word, the first in the lowest bits. `first` and
//! `count` come from [`Step`](super::Step).

mod cases;
mod cpu;
mod fast;
mod gpu;

pub(super) use cases::words;
pub(crate) use cases::{drawn, edge_cases};

use super::Op;

/// `images labels order -> x targets`
#[derive(Clone, Copy, Debug)]
pub struct Gather {
    /// Rows of the batch, N.
    pub batch: usize,
    /// Bytes an image: H*W*C.
    pub pixels: usize,
    /// Images in the data set.
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
