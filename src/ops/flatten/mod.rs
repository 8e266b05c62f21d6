//! flatten: an image as a vector of features, in the order in which it lies in memory: rows, columns, channels.
//!
//! Nothing is computed and nothing moves, so there are no passes.

mod layer;

pub use layer::Flatten;
