//! clip: by what gradients are scaled, so that their norm over all weights is at most `most` (Pascanu et al. 2013).
//!
//! `norm = sqrt(sum over i of gradient[i]^2)`, `scale = 1` up to `most`, then `most / norm`. The update kernels multiply by it
//! as they load ([`super::sgd`], [`super::adam`]), so gradients are not stored again and nothing is read back.
//!
//! A sum of parts, each added by a workgroup, and the parts added by one: in an order that depends on the length alone, so
//! runs repeat to the bit. Squares are `f32`: a norm above 1.8e19 is infinite and scales everything to 0.

mod cases;
mod cpu;
mod fast;
mod gpu;

pub(crate) use cases::{drawn, edge_cases};

use super::Op;

/// `gradient -> scale`
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Number of gradients.
    pub len: usize,
    /// Largest norm that a gradient keeps.
    pub most: f32,
}

impl Op for Scale {
    fn name(&self) -> &'static str {
        "clip.scale"
    }
    fn inputs(&self) -> Vec<(&'static str, usize)> {
        vec![("gradient", self.len)]
    }
    fn outputs(&self) -> Vec<(&'static str, usize)> {
        vec![("scale", 1)]
    }
}
