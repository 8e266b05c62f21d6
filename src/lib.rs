#![allow(missing_docs)]
pub mod error;
pub mod gpu;
pub mod ops;
pub mod plan;
pub mod reference;
pub mod shape;
pub mod storage;
pub use error::{Error, Result};
