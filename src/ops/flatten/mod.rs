//! flatten: views an image as a vector of features, in its memory order: rows, columns, channels.
//!
//! Nothing is computed or copied, so there are no passes.

mod layer;

pub use layer::Flatten;
