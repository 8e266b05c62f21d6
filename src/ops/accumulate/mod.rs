//! accumulate: adds up the gradients of a batch that is computed in parts, one after another.
//!
//! `sum <- gradients` for the first part of a batch ([`Step::part`] 0), and `sum <- sum + gradients` for every other. The
//! loss divides by the number of images in the whole batch, so the sum is the gradient of its mean loss.
//!
//! [`Step::part`]: super::Step::part

mod cases;
mod cpu;
mod fast;
mod gpu;

pub(crate) use cases::{drawn, edge_cases};

use super::Op;

/// The addition: reads `gradients` and changes `sum`.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// Number of gradients.
    pub len: usize,
}

impl Op for Add {
    fn name(&self) -> &'static str {
        "accumulate.add"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("gradients", self.len)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("sum", self.len)]
    }
    fn touched(&self) -> Vec<(&'static str, usize)> {
        vec![("sum", 2 * self.len)]
    }
}
